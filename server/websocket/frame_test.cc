#include "server/websocket/frame.h"

#include <gtest/gtest.h>

#include <string>

namespace fasterapi::websocket {
namespace {

using namespace std::string_literals;

std::string header(std::uint64_t length) {
  std::string made;
  append_frame_header(made, true, false, Opcode::kBinary, length);
  return made;
}

// RFC 6455 5.2: the minimal number of bytes.
TEST(FrameHeader, IsWrittenInItsShortestForm) {
  EXPECT_EQ(header(0), "\x82\x00"s);
  EXPECT_EQ(header(125), "\x82\x7d");
  EXPECT_EQ(header(126), "\x82\x7e\x00\x7e"s);
  EXPECT_EQ(header(0xffff), "\x82\x7e\xff\xff");
  EXPECT_EQ(header(0x10000), "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s);
  EXPECT_EQ(header(0x0123456789abcdef), "\x82\x7f\x01\x23\x45\x67\x89\xab\xcd\xef");
}

TEST(FrameHeader, HasItsBits) {
  std::string made = "before";
  append_frame_header(made, false, true, Opcode::kText, 1);
  append_frame_header(made, true, true, Opcode::kContinuation, 1);
  append_frame_header(made, false, false, Opcode::kContinuation, 1);
  EXPECT_EQ(made, "before\x41\x01\xc0\x01\x00\x01"s);
}

// Every cut of a header leaves what is behind it.
TEST(FrameHeader, IsReadInPieces) {
  for (std::uint64_t length : {0ull, 125ull, 126ull, 0xffffull, 0x10000ull, 0x0123456789abcdefull}) {
    std::string bytes = header(length);
    bytes[1] = static_cast<char>(bytes[1] | 0x80);
    bytes += "mask";
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
      FrameHeaderParser parser;
      FrameHeader read;
      const std::string first = bytes.substr(0, cut);
      const std::string second = bytes.substr(cut) + "payload";
      std::string_view left = first;
      const bool whole = parser.parse(left, read);
      EXPECT_TRUE(left.empty());
      EXPECT_EQ(whole, cut == bytes.size());
      left = second;
      ASSERT_TRUE(whole || parser.parse(left, read));
      EXPECT_EQ(left, "payload");
      EXPECT_EQ(read.length, length);
      EXPECT_EQ(read.opcode, Opcode::kBinary);
      EXPECT_EQ(read.key, (MaskingKey{'m', 'a', 's', 'k'}));
      EXPECT_TRUE(read.fin && read.masked && read.reserved == 0);
      EXPECT_EQ(fault_of(read), "");
    }
  }
}

}  // namespace
}  // namespace fasterapi::websocket
