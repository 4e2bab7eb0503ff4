#include "server/websocket/mask.h"

#include <gtest/gtest.h>

#include <string>

namespace fasterapi::websocket {
namespace {

constexpr MaskingKey kKey = {0x37, 0xfa, 0x21, 0x3d};

// RFC 6455 5.3: transformed-octet-i = original-octet-i XOR masking-key-octet-(i MOD 4)
std::string masked(std::string_view payload, std::uint64_t offset) {
  std::string made;
  for (std::size_t i = 0; i < payload.size(); ++i) {
    made += static_cast<char>(payload[i] ^ kKey[(offset + i) % 4]);
  }
  return made;
}

std::string bytes(std::size_t count) {
  std::string made;
  for (std::size_t i = 0; i < count; ++i) made += static_cast<char>(i * 167 + 11);
  return made;
}

TEST(Mask, EverySizeAtEveryPlaceOfThePayload) {
  for (std::size_t size = 0; size < 300; ++size) {
    const std::string payload = bytes(size);
    for (std::uint64_t offset : {0, 1, 2, 3, 4, 4095, 4098}) {
      // From and to a place that is not aligned, with a byte on each side that must stay.
      const std::string from = "<" + masked(payload, offset);
      std::string to(size + 3, '#');
      unmask(from.data() + 1, to.data() + 2, size, kKey, offset);
      ASSERT_EQ(to, "##" + payload + "#") << size << " at " << offset;
    }
  }
}

TEST(Mask, InPlace) {
  for (std::size_t size : {1, 7, 16, 63, 64, 65, 1000}) {
    const std::string payload = bytes(size);
    std::string both = masked(payload, 3);
    unmask(both.data(), both.data(), size, kKey, 3);
    EXPECT_EQ(both, payload);
  }
}

TEST(Mask, AnOffsetBeyond32Bits) {
  const std::string payload = bytes(100);
  const std::uint64_t offset = (1ull << 40) + 1;
  std::string both = masked(payload, 1);
  unmask(both.data(), both.data(), both.size(), kKey, offset);
  EXPECT_EQ(both, payload);
}

}  // namespace
}  // namespace fasterapi::websocket
