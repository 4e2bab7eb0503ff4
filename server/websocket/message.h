// What a data frame's opcode says of a message (RFC 6455 5.6).
#pragma once

#include <cstdint>

namespace fasterapi::websocket {

enum class MessageKind : std::uint8_t { kText, kBinary };

}  // namespace fasterapi::websocket
