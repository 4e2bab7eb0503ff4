// What compressed connections cost while they are many and idle, and what a message may cost while it grows.
// zlib's share is counted by the pool; the rest is strings, whose capacity says what they hold.
#include <algorithm>
#include <memory>
#include <vector>

#include "server/websocket/zlib_peer.h"

namespace fasterapi::websocket {
namespace {

using base::Last;
using Inflated = MessageDeflate::Inflated;

constexpr std::size_t kConnections = 10'000;
constexpr std::size_t kMiB = 1024 * 1024;

class DeflateMemory : public testing::Test {
 protected:
  // Each connection gets one message and sends one.
  void speak(DeflateParameters parameters, std::size_t size) {
    const std::string sent = json_message(size, 1);
    const std::string payload = ZlibPeer(parameters.client_max_window_bits).deflate(sent);
    for (std::size_t i = 0; i < kConnections; ++i) {
      connections.push_back(std::make_unique<MessageDeflate>(pool, parameters, settings));
      std::string message;
      ASSERT_EQ(connections.back()->inflate(payload, Last::kYes, message, kMiB), Inflated::kOk);
      ASSERT_EQ(message, sent);
      std::string out;
      ASSERT_EQ(connections.back()->deflate(sent, out), Compressor::Result::kOk);
      most = std::max(most, pool.zlib_bytes());
    }
  }

  base::WebSocketSettings settings;
  DeflatePool pool;
  std::vector<std::unique_ptr<MessageDeflate>> connections;
  std::size_t most = 0;
};

TEST_F(DeflateMemory, OneInflaterServesAll) {
  speak({false, false, 12, 12}, 2000);
  EXPECT_LT(most, 16u * 1024);
  EXPECT_LT(sizeof(MessageDeflate), 144u);
}

// The large windows of a client that cannot be told to have a small one.
TEST_F(DeflateMemory, AlsoThatOfLargeWindows) {
  speak({false, false, 15, 15}, 2000);
  EXPECT_LT(most, 64u * 1024);
}

TEST_F(DeflateMemory, AConnectionThatHasSaidNothingHasNoStream) {
  for (int i = 0; i < 100; ++i) {
    connections.push_back(std::make_unique<MessageDeflate>(pool, DeflateParameters(), settings));
  }
  EXPECT_EQ(pool.zlib_bytes(), 0u);
}

// Messages that have begun, each of which needs an inflater.
TEST_F(DeflateMemory, OnlySomeSpareInflatersAreKept) {
  const std::string payload = ZlibPeer().deflate(json_message(40'000, 1));
  for (std::size_t i = 0; i < 700; ++i) {
    std::string message;
    connections.push_back(std::make_unique<MessageDeflate>(pool, DeflateParameters(), settings));
    ASSERT_EQ(connections.back()->inflate(payload.substr(0, 5000), Last::kNo, message, kMiB), Inflated::kOk);
  }
  EXPECT_GT(pool.zlib_bytes(), 700u * 7 * 1024);
  connections.clear();
  EXPECT_LE(pool.zlib_bytes(), DeflatePool::kMaxSpares * 48 * 1024);
}

TEST_F(DeflateMemory, AStreamInTheMiddleOfAMessageIsNotTaken) {
  const std::string payload = ZlibPeer().deflate("Hello");
  MessageDeflate connection(pool, {true, true, 12, 12}, settings);
  std::string message;
  ASSERT_EQ(connection.inflate(payload.substr(0, 3), Last::kNo, message, kMiB), Inflated::kOk);
  ASSERT_EQ(connection.inflate(payload.substr(3), Last::kYes, message, kMiB), Inflated::kOk);
  EXPECT_EQ(message, "Hello");
}

// 1 MB that would be 1 GB.
TEST_F(DeflateMemory, ABombCostsTheLimitAndASlice) {
  const std::string piece = ZlibPeer().compress(std::string(kMiB, '\0'), Z_FULL_FLUSH);
  std::string bomb;
  for (int i = 0; i < 1024; ++i) bomb += piece;
  ASSERT_LT(bomb.size(), 2 * kMiB);
  for (std::size_t limit : {std::size_t{1}, std::size_t{1000}, 100'000 + kMiB, 16 * kMiB}) {
    MessageDeflate connection(pool, {}, settings);
    std::string message;
    std::size_t most_held = 0;
    Inflated result = Inflated::kOk;
    for (std::size_t at = 0; result == Inflated::kOk; at += 100) {
      const std::size_t before = message.capacity();
      result = connection.inflate(std::string_view(bomb).substr(at, 100), Last::kNo, message, limit);
      // While it moves, the message lies in both places, but no more of the new one is touched than was
      // copied.
      const std::size_t moved = message.capacity() > before ? 2 * before : 0;
      most_held = std::max({most_held, moved, message.capacity()});
    }
    EXPECT_EQ(result, Inflated::kTooBig);
    EXPECT_EQ(message.size(), limit + 1);
    EXPECT_LE(most_held, limit + DeflatePool::kSlice) << limit;
  }
}

TEST_F(DeflateMemory, ASmallMessageHasASmallBuffer) {
  MessageDeflate connection(pool, {}, settings);
  std::string message;
  ASSERT_EQ(connection.inflate(ZlibPeer().deflate(json_message(300, 1)), Last::kYes, message, 16 * kMiB),
            Inflated::kOk);
  EXPECT_LE(message.capacity(), 600u);
}

}  // namespace
}  // namespace fasterapi::websocket
