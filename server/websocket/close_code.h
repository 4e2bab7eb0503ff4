// Status codes of a Close frame (RFC 6455 7.4, and IANA's registry of them).
#pragma once

#include <cstdint>

namespace fasterapi::websocket {

inline constexpr std::uint16_t kNormalClosure = 1000;
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kProtocolError = 1002;
inline constexpr std::uint16_t kNoStatus = 1005;         // never in a frame: the Close had no code
inline constexpr std::uint16_t kAbnormalClosure = 1006;  // never in a frame: there was no Close
inline constexpr std::uint16_t kInvalidPayload = 1007;
inline constexpr std::uint16_t kPolicyViolation = 1008;
inline constexpr std::uint16_t kMessageTooBig = 1009;
inline constexpr std::uint16_t kInternalError = 1011;
inline constexpr std::uint16_t kServiceRestart = 1012;

// Whether a Close frame may hold the code. RFC 6455 7.4.1: 1004 is reserved; 1005, 1006 and 1015 MUST NOT
// be set by an endpoint. 7.4.2: 1016-2999 are for later versions of the protocol, 3000-4999 for
// libraries and applications; nothing else is defined.
constexpr bool may_be_sent(std::uint16_t code) {
  if (code >= 3000) return code <= 4999;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

}  // namespace fasterapi::websocket
