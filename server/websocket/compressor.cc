#include "server/websocket/compressor.h"

#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <array>
#include <new>

namespace fasterapi::websocket {

namespace {

using namespace std::string_view_literals;

// What a sync flush ends with, and permessage-deflate leaves away (RFC 7692 7.2.1).
constexpr std::string_view kTail = "\x00\x00\xff\xff"sv;
// ISA-L counts in 32 bits.
constexpr std::size_t kMaxInput = UINT32_MAX;
// Output by pieces that stay in the first-level cache.
constexpr std::size_t kSlice = 16 * 1024;
// Enough for each of the levels that may be chosen.
constexpr std::size_t kLevelBuffer = ISAL_DEF_LVL3_DEFAULT;

// ISA-L does not write to its input.
std::uint8_t* bytes_of(std::string_view view) {
  return reinterpret_cast<std::uint8_t*>(const_cast<char*>(view.data()));
}

}  // namespace

Compressor::Compressor() = default;
Compressor::~Compressor() = default;

Compressor::Result Compressor::deflate(std::string_view message, std::string_view dictionary, int window_bits,
                                       int level, std::size_t most, std::string& out) {
  const std::size_t before = out.size();
  try {
    begin(dictionary, window_bits, level);
    if (run(message, before + most + kTail.size(), out)) {
      out.resize(out.size() - kTail.size());
      return Result::kOk;
    }
    out.resize(before);
    return Result::kTooLong;
  } catch (const std::bad_alloc&) {
    out.resize(before);
    return Result::kNoMemory;
  }
}

void Compressor::begin(std::string_view dictionary, int window_bits, int level) {
  if (stream_ == nullptr) {
    level_buffer_.reset(new std::uint8_t[kLevelBuffer]);
    stream_ = std::make_unique<isal_zstream>();
  }
  isal_deflate_init(stream_.get());
  stream_->level = static_cast<std::uint32_t>(level);
  stream_->level_buf = level_buffer_.get();
  stream_->level_buf_size = kLevelBuffer;
  stream_->hist_bits = static_cast<std::uint16_t>(window_bits);
  stream_->gzip_flag = IGZIP_DEFLATE;
  stream_->flush = SYNC_FLUSH;
  if (!dictionary.empty()) {
    isal_deflate_set_dict(stream_.get(), bytes_of(dictionary), static_cast<std::uint32_t>(dictionary.size()));
  }
}

// False: `out` would be longer than the limit.
bool Compressor::run(std::string_view message, std::size_t limit, std::string& out) {
  std::array<std::uint8_t, kSlice> slice;
  while (!message.empty()) {
    const std::string_view piece = message.substr(0, kMaxInput);
    message.remove_prefix(piece.size());
    stream_->next_in = bytes_of(piece);
    stream_->avail_in = static_cast<std::uint32_t>(piece.size());
    do {
      stream_->next_out = slice.data();
      stream_->avail_out = kSlice;
      isal_deflate(stream_.get());
      const std::size_t made = kSlice - stream_->avail_out;
      if (made > limit - out.size()) return false;
      out.append(reinterpret_cast<const char*>(slice.data()), made);
    } while (stream_->avail_in > 0 || stream_->internal_state.state != ZSTATE_NEW_HDR);
  }
  return true;
}

}  // namespace fasterapi::websocket
