// A frame's header (RFC 6455 5.2): read from a client, in pieces, and written by the server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/websocket/mask.h"

namespace fasterapi::websocket {

enum class Opcode : std::uint8_t {
  kContinuation = 0x0,
  kText = 0x1,
  kBinary = 0x2,
  kClose = 0x8,
  kPing = 0x9,
  kPong = 0xa,
};

// RFC 6455 5.5: control frames are those whose opcode's highest bit is 1.
constexpr bool is_control(Opcode opcode) { return (static_cast<std::uint8_t>(opcode) & 0x8) != 0; }

inline constexpr std::size_t kMaxControlPayload = 125;
// Two bytes, eight of length, four of the key.
inline constexpr std::size_t kMaxFrameHeader = 14;
// The first bit reserved for extensions, in a header's first byte. RFC 7692 6: the message is deflated.
inline constexpr std::uint8_t kRsv1 = 0x40;

struct FrameHeader {
  bool fin = false;
  std::uint8_t reserved = 0;              // RSV1, RSV2, RSV3 as bits 0x40, 0x20, 0x10
  Opcode opcode = Opcode::kContinuation;  // any of the sixteen values
  bool masked = false;
  std::uint8_t length_size = 1;  // bytes that the length took: 1, 2 or 8
  std::uint64_t length = 0;
  MaskingKey key{};
};

// The rule that a client's header breaks by itself, or "" (RFC 6455 5.1, 5.2, 5.5). What the messages
// before it allow is the codec's to say.
std::string_view fault_of(const FrameHeader& header);

class FrameHeaderParser {
 public:
  // Takes a header's bytes from the front of `bytes`. True: it is whole, and the next call begins another.
  bool parse(std::string_view& bytes, FrameHeader& header);

 private:
  std::uint8_t held_ = 0;
  char bytes_[kMaxFrameHeader];
};

// The server's: unmasked (RFC 6455 5.1), in the shortest form.
void append_frame_header(std::string& out, bool fin, bool rsv1, Opcode opcode, std::uint64_t length);

}  // namespace fasterapi::websocket
