#include "server/websocket/frame.h"

#include <algorithm>
#include <cstring>

namespace fasterapi::websocket {

namespace {

constexpr std::uint8_t kFin = 0x80;
constexpr std::uint8_t kReserved = 0x70;
constexpr std::uint8_t kOpcode = 0x0f;
constexpr std::uint8_t kMasked = 0x80;
// Values of the seven bits of length that say where the length is.
constexpr std::uint8_t kLengthIn2 = 126;
constexpr std::uint8_t kLengthIn8 = 127;

constexpr std::uint64_t kMaxIn2 = 0xffff;
constexpr std::uint64_t kMaxIn8 = 0x7fffffffffffffff;

std::size_t length_size(std::uint8_t second) {
  const std::uint8_t bits = second & ~kMasked;
  if (bits == kLengthIn8) return 8;
  return bits == kLengthIn2 ? 2 : 1;
}

// Of the header whose second byte this is.
std::size_t header_size(std::uint8_t second) {
  const std::size_t extended = length_size(second);
  return 2 + (extended == 1 ? 0 : extended) + ((second & kMasked) != 0 ? 4 : 0);
}

FrameHeader read_header(const char* from) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(from);
  FrameHeader header;
  header.fin = (bytes[0] & kFin) != 0;
  header.reserved = bytes[0] & kReserved;
  header.opcode = static_cast<Opcode>(bytes[0] & kOpcode);
  header.masked = (bytes[1] & kMasked) != 0;
  header.length_size = static_cast<std::uint8_t>(length_size(bytes[1]));
  const std::uint8_t* at = bytes + 2;
  if (header.length_size == 1) {
    header.length = bytes[1] & ~kMasked;
  } else {
    for (int i = 0; i < header.length_size; ++i) header.length = header.length << 8 | *at++;
  }
  if (header.masked) std::memcpy(header.key.data(), at, header.key.size());
  return header;
}

bool is_known(Opcode opcode) {
  return opcode <= Opcode::kBinary || (opcode >= Opcode::kClose && opcode <= Opcode::kPong);
}

bool is_minimal(const FrameHeader& header) {
  if (header.length_size == 2) return header.length >= kLengthIn2;
  return header.length_size == 1 || header.length > kMaxIn2;
}

void append_big_endian(std::string& out, std::uint64_t number, int bytes) {
  while (bytes > 0) out.push_back(static_cast<char>(number >> (8 * --bytes)));
}

}  // namespace

std::string_view fault_of(const FrameHeader& header) {
  // RFC 6455 5.2: a nonzero value of which no negotiated extension defines the meaning fails the connection.
  if ((header.reserved & ~kRsv1) != 0) return "reserved bits are set";
  // RFC 6455 5.2: "If an unknown opcode is received, the receiving endpoint MUST Fail".
  if (!is_known(header.opcode)) return "unknown opcode";
  // RFC 6455 5.1: "The server MUST close the connection upon receiving a frame that is not masked."
  if (!header.masked) return "frame is not masked";
  // RFC 6455 5.2: "the minimal number of bytes MUST be used to encode the length", "the most significant
  // bit MUST be 0".
  if (!is_minimal(header)) return "length is not in its shortest form";
  if (header.length > kMaxIn8) return "length has its highest bit set";
  if (!is_control(header.opcode)) return {};
  // RFC 6455 5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be
  // fragmented." RFC 7692 6.1: RSV1 of a control frame is not the extension's to set.
  if (header.length > kMaxControlPayload) return "control frame is too long";
  if (!header.fin) return "control frame is fragmented";
  if (header.reserved != 0) return "reserved bits are set in a control frame";
  return {};
}

bool FrameHeaderParser::parse(std::string_view& bytes, FrameHeader& header) {
  if (held_ == 0 && bytes.size() >= 2) {
    const std::size_t size = header_size(static_cast<std::uint8_t>(bytes[1]));
    if (bytes.size() >= size) {
      header = read_header(bytes.data());
      bytes.remove_prefix(size);
      return true;
    }
  }
  while (!bytes.empty()) {
    bytes_[held_++] = bytes.front();
    bytes.remove_prefix(1);
    if (held_ < 2 || held_ < header_size(static_cast<std::uint8_t>(bytes_[1]))) continue;
    header = read_header(bytes_);
    held_ = 0;
    return true;
  }
  return false;
}

void append_frame_header(std::string& out, bool fin, bool rsv1, Opcode opcode, std::uint64_t length) {
  out.push_back(static_cast<char>((fin ? kFin : 0) | (rsv1 ? kRsv1 : 0) | static_cast<std::uint8_t>(opcode)));
  if (length < kLengthIn2) {
    out.push_back(static_cast<char>(length));
  } else if (length <= kMaxIn2) {
    out.push_back(static_cast<char>(kLengthIn2));
    append_big_endian(out, length, 2);
  } else {
    out.push_back(static_cast<char>(kLengthIn8));
    append_big_endian(out, length, 8);
  }
}

}  // namespace fasterapi::websocket
