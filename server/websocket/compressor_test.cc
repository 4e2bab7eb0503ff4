#include "server/websocket/compressor.h"

#include <random>

#include "server/websocket/zlib_peer.h"

namespace fasterapi::websocket {
namespace {

using Result = Compressor::Result;

constexpr std::size_t kAny = std::size_t{1} << 40;

TEST(Compressor, OutputOfAnySizeIsWhole) {
  Compressor compressor;
  std::string out;
  // Around the end of a piece of output, where a flush may have to wait for the next one.
  for (std::size_t size = 16 * 1024 - 80; size < 16 * 1024 + 80; ++size) {
    out.clear();
    ASSERT_EQ(compressor.deflate(noise(size, 1), {}, 12, 1, kAny, out), Result::kOk);
    ASSERT_EQ(ZlibPeer(15, 12).inflate(out), noise(size, 1)) << size;
  }
}

TEST(Compressor, ADictionaryIsReferredTo) {
  Compressor compressor;
  std::string alone = "before";
  std::string with = "before";
  const std::string message = noise(600, 1);
  ASSERT_EQ(compressor.deflate(message, {}, 12, 1, kAny, alone), Result::kOk);
  ASSERT_EQ(compressor.deflate(message, message, 12, 1, kAny, with), Result::kOk);
  EXPECT_GE(alone.size(), 606u);
  EXPECT_LT(with.size(), 40u);
  EXPECT_TRUE(with.starts_with("before"));
}

TEST(Compressor, NothingIsLeftOfTheLastMessage) {
  Compressor compressor;
  std::string first;
  std::string second;
  ASSERT_EQ(compressor.deflate(json_message(900, 1), json_message(400, 2), 12, 1, kAny, first), Result::kOk);
  first.clear();
  ASSERT_EQ(compressor.deflate(json_message(900, 1), {}, 12, 1, kAny, first), Result::kOk);
  Compressor fresh;
  ASSERT_EQ(fresh.deflate(json_message(900, 1), {}, 12, 1, kAny, second), Result::kOk);
  EXPECT_EQ(first, second);
}

TEST(Compressor, NoDistanceIsBeyondTheWindow) {
  Compressor compressor;
  std::minstd_rand random(1);
  for (int bits = 9; bits <= 15; ++bits) {
    for (int level = Compressor::kMinLevel; level <= Compressor::kMaxLevel; ++level) {
      std::string message;
      while (message.size() < 80'000) {
        message += noise(100, static_cast<unsigned>(random()));
        const std::size_t back = std::min<std::size_t>(message.size(), 1 + random() % 40'000);
        message += message.substr(message.size() - back, 50);
      }
      std::string out;
      ASSERT_EQ(compressor.deflate(message, {}, bits, level, kAny, out), Result::kOk);
      ASSERT_EQ(ZlibPeer(15, bits).inflate(out), message) << bits << " " << level;
    }
  }
}

TEST(Compressor, MoreThanAllowedIsTakenBack) {
  Compressor compressor;
  std::string out = "before";
  const std::string message = noise(100'000, 1);
  EXPECT_EQ(compressor.deflate(message, {}, 12, 1, message.size() - 1, out), Result::kTooLong);
  EXPECT_EQ(out, "before");
  const std::string small = json_message(1000, 1);
  ASSERT_EQ(compressor.deflate(small, {}, 12, 1, kAny, out), Result::kOk);
  const std::size_t made = out.size() - 6;
  out = "before";
  EXPECT_EQ(compressor.deflate(small, {}, 12, 1, made - 1, out), Result::kTooLong);
  EXPECT_EQ(compressor.deflate(small, {}, 12, 1, made, out), Result::kOk);
}

}  // namespace
}  // namespace fasterapi::websocket
