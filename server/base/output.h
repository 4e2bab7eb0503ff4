// The outgoing byte queue of one connection, written by a codec and drained by a stream.
// Small pieces are copied into one growing run; a large one is kept by reference as a Slice.
// Holds no memory while empty.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fasterapi::base {

// Bytes that somebody else owns and that stay alive until this object is destroyed, which calls
// release(owner) exactly once. Move only.
class Slice {
 public:
  using Release = void (*)(void* owner);

  Slice() = default;
  Slice(std::string_view bytes, void* owner, Release release)
      : bytes_(bytes), owner_(owner), release_(release) {}
  Slice(Slice&& other) noexcept { swap(other); }
  Slice& operator=(Slice&& other) noexcept {
    Slice taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Slice() {
    if (release_ != nullptr) release_(owner_);
  }

  std::string_view bytes() const { return bytes_; }

 private:
  void swap(Slice& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(owner_, other.owner_);
    std::swap(release_, other.release_);
  }

  std::string_view bytes_;
  void* owner_ = nullptr;
  Release release_ = nullptr;
};

class Output {
 public:
  void append(std::string_view bytes);  // copies
  void append(Slice slice);             // keeps, no copy
  // The run to which an encoder may append in place; valid until the next call on this object.
  // Call grown(n) afterwards with the number of bytes added.
  std::string& tail();
  void grown(std::size_t added) { size_ += added; }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Fills `vectors` with the first bytes of the queue, in order; returns how many were filled.
  std::size_t gather(std::span<iovec> vectors) const;
  // Drops the first `count` bytes (count <= size()); releases slices that are done with.
  void consume(std::size_t count);
  void clear();
  // The rest will wait: where most of the first slice is gone, a copy of what is left lets go of its owner.
  void shrink();

  // For tests: all bytes as one string.
  std::string to_string() const;

 private:
  struct Segment {
    std::string copied;
    Slice kept;
    bool is_slice = false;
    std::string_view bytes() const { return is_slice ? kept.bytes() : std::string_view(copied); }
  };

  std::vector<Segment> segments_;
  std::size_t first_ = 0;   // index of the segment that is being sent
  std::size_t offset_ = 0;  // bytes of it that are already gone
  std::size_t size_ = 0;
};

}  // namespace fasterapi::base
