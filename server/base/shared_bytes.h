// Bytes that many output queues send, held once: freed with the last Slice of them. For one thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "server/base/output.h"

namespace fasterapi::base {

class SharedBytes {
 public:
  SharedBytes() = default;
  explicit SharedBytes(std::string bytes) : block_(new Block{std::move(bytes), 1}) {}
  SharedBytes(SharedBytes&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  SharedBytes& operator=(SharedBytes&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~SharedBytes() {
    if (block_ != nullptr) release(block_);
  }

  std::string_view bytes() const { return block_ == nullptr ? std::string_view() : block_->bytes; }
  // Keeps them alive; not of an empty one.
  Slice slice() const {
    ++block_->holders;
    return Slice(block_->bytes, block_, release);
  }

 private:
  struct Block {
    std::string bytes;
    std::size_t holders;
  };

  static void release(void* held) {
    auto* block = static_cast<Block*>(held);
    if (--block->holders == 0) delete block;
  }

  Block* block_ = nullptr;
};

}  // namespace fasterapi::base
