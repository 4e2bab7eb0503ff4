// Deflates whole messages (RFC 7692 7.2.1) by ISA-L, whose state is far larger than what a message may refer
// to: one compressor serves all connections, which keep that themselves and give it along as the dictionary.
// Owned by the DeflatePool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct isal_zstream;

namespace fasterapi::websocket {

class Compressor {
 public:
  static constexpr int kMinLevel = 1;
  static constexpr int kMaxLevel = 3;

  enum class Result { kOk, kTooLong, kNoMemory };

  Compressor();
  ~Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  // Appends the deflated message without the trailing 00 00 ff ff; not more than `most` bytes. Anything but
  // kOk leaves `out` as it was. `dictionary` is what the peer's window of 2^window_bits bytes ends with.
  Result deflate(std::string_view message, std::string_view dictionary, int window_bits, int level,
                 std::size_t most, std::string& out);

 private:
  void begin(std::string_view dictionary, int window_bits, int level);
  bool run(std::string_view message, std::size_t limit, std::string& out);

  std::unique_ptr<isal_zstream> stream_;
  std::unique_ptr<std::uint8_t[]> level_buffer_;
};

}  // namespace fasterapi::websocket
