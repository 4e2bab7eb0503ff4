// The masking of a client's payload (RFC 6455 5.3), which is also its undoing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace fasterapi::websocket {

using MaskingKey = std::array<std::uint8_t, 4>;

// One pass, by blocks of 16 bytes. `offset` is the first byte's place in the payload. `from` may be `to`;
// other overlaps may not be.
void unmask(const char* from, char* to, std::size_t count, MaskingKey key, std::uint64_t offset);

}  // namespace fasterapi::websocket
