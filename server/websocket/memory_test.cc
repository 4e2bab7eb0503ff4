// What a codec allocates, and that no peer makes it hold more than it sent: counted by an operator new of its
// own.
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/testing/counted_allocations.h"
#include "server/websocket/expect_transcript.h"

namespace fasterapi::websocket {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using fasterapi::testing::allocations;
using fasterapi::testing::live_bytes;

constexpr std::size_t kRead = 64 * 1024;

class WebSocketMemory : public ::testing::Test {
 protected:
  std::size_t held() const { return live_bytes - before; }
  // Bytes as a stream gives them, and the most that was held at any time.
  std::size_t feed(std::string_view bytes) {
    std::size_t most = 0;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(kRead, bytes.size()))) {
      codec->receive(bytes.substr(0, kRead), 32);
      most = std::max(most, held());
      while (codec->has_rest()) {
        codec->output().clear();
        codec->receive({}, 32);
        most = std::max(most, held());
      }
      codec->output().clear();
    }
    return most;
  }

  base::WebSocketSettings settings;
  Workspace workspace;
  std::size_t before = live_bytes;
  std::unique_ptr<Codec> codec = std::make_unique<Codec>(settings, workspace, nullptr);
};

TEST_F(WebSocketMemory, ANewCodecIsSmall) { EXPECT_LT(held(), 768u); }

// The ordinary case.
TEST_F(WebSocketMemory, SmallMessagesInARowAreReadWithoutAllocation) {
  const std::string input =
      frame(kFinText, "hello") + frame(kFinBinary, std::string(1000, 'b')) + frame(kFinPong, "p");
  codec->receive(input, 32);
  const std::size_t start = allocations;
  for (int i = 0; i < 100; ++i) ASSERT_EQ(codec->receive(input, 32).size(), 3u);
  EXPECT_EQ(allocations, start);
}

// What one has used serves the next, and nothing stays with a codec that waits.
TEST_F(WebSocketMemory, CodecsInTurnShareOneBuffer) {
  const std::string input = frame(kFinText, std::string(30'000, 'x'));
  const std::string begun = frame(kFirstText, std::string(3'000, 'x'));
  codec->receive(input, 32);
  codec->handled();
  const std::size_t start = allocations;
  const std::size_t shared = held();
  for (int i = 0; i < 20; ++i) {
    Codec other(settings, workspace, nullptr);
    ASSERT_EQ(other.receive(input, 32).size(), 1u);
    other.handled();
  }
  EXPECT_EQ(allocations, start);
  EXPECT_EQ(held(), shared);
  codec->receive(begun, 32);
  codec->handled();
  EXPECT_EQ(codec->buffered(), 3'000u);
  EXPECT_LT(held(), shared + 3'000 + 256);
}

TEST_F(WebSocketMemory, WhatACodecShowsStaysWhileAnotherReads) {
  const std::string mine = frame(kFinText, std::string(500, 'm'));
  const std::string others = frame(kFinText, std::string(900, 'o'));
  codec->receive(mine, 32);
  codec->handled();
  const auto events = codec->receive(mine, 32);
  Codec other(settings, workspace, nullptr);
  other.receive(others, 32);
  other.handled();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].payload, std::string(500, 'm'));
}

TEST_F(WebSocketMemory, AMessageForManyIsHeldOnce) {
  std::vector<std::unique_ptr<Codec>> receivers;
  for (int i = 0; i < 100; ++i) receivers.push_back(std::make_unique<Codec>(settings, workspace, nullptr));
  const std::size_t without = held();
  {
    const base::SharedBytes shared = encode_message(MessageKind::kBinary, std::string(1 << 20, 'x'));
    for (const auto& receiver : receivers) receiver->send_frames(shared);
  }
  EXPECT_LT(held() - without, (1u << 20) + 100 * 1024);
  EXPECT_EQ(receivers[99]->output().size(), (1u << 20) + 10);
  EXPECT_EQ(receivers[99]->output().to_string().back(), 'x');
  for (const auto& receiver : receivers) receiver->output().clear();
  EXPECT_LT(held() - without, 16u * 1024);
}

TEST_F(WebSocketMemory, ARestingCodecIsSmall) {
  const std::string large =
      frame(kFinText, std::string(1 << 20, 'x')) + frame(kFinPing, std::string(125, 'p'));
  const std::size_t outside = large.capacity() + 1;
  feed(large);
  EXPECT_GT(held() - outside, 1u << 20);
  codec->rest();
  EXPECT_LT(held() - outside, 1200u);
}

TEST_F(WebSocketMemory, WhatALargeMessageNeededIsGivenBackByTheNext) {
  const std::string large = frame(kFinText, std::string(1 << 20, 'x')) + frame(kFirstText, "begun");
  const std::size_t outside = large.capacity() + 1;
  feed(large);
  codec->receive({}, 32);
  EXPECT_EQ(codec->buffered(), 5u);
  EXPECT_LT(held() - outside, kRead + 2048);
}

// A header alone costs nothing, whatever it announces.
TEST_F(WebSocketMemory, AnAnnouncedLengthIsNotAllocated) {
  settings.max_message = base::kUnlimited;
  const std::string header = "\x82\xff\x00\x00\x01\x00\x00\x00\x00\x00keys"s;
  EXPECT_LT(feed(header), 1024u);
  EXPECT_LT(feed("some bytes"), 1024u);
}

TEST_F(WebSocketMemory, AMessageOfOneFrameEndsInABufferOfItsSize) {
  const std::string payload(4'000'000, 'x');
  const std::string input = frame(kFinBinary, payload);
  const std::size_t outside = payload.capacity() + input.capacity() + 2;
  EXPECT_LT(feed(input) - outside, payload.size() + 1024);
}

TEST_F(WebSocketMemory, RoomIsMadeByWhatHasCome) {
  const std::string header = "\x82\xff\x00\x00\x00\x00\x00\xf4\x24\x00keys"s;  // 16,000,000
  const std::string part(kRead, 'x');
  const std::size_t outside = part.capacity() + 1;
  feed(header);
  EXPECT_LE(feed(part) - outside, 4 * kRead + 1024);
}

TEST_F(WebSocketMemory, AMessageOfManyFramesCostsTwiceItsSizeAtMost) {
  std::string input;
  const std::string fragment = frame(kNextFragment, std::string(1000, 'x'));
  for (int i = 0; i < 4000; ++i) input += i == 0 ? frame(kFirstBinary, std::string(1000, 'x')) : fragment;
  const std::size_t outside = input.capacity() + fragment.capacity() + 2;
  feed(input);
  EXPECT_EQ(codec->buffered(), 4'000'000u);
  EXPECT_LT(held() - outside, 2 * 4'000'000 + kRead);
}

TEST_F(WebSocketMemory, AMillionFragmentsOfOneByteEndInAFault) {
  std::string input = frame(kFirstBinary, "x");
  const std::string fragment = frame(kNextFragment, "x");
  while (input.size() < 7'000'000) input += fragment;
  const std::size_t outside = input.capacity() + fragment.capacity() + 2;
  EXPECT_LT(feed(input) - outside, 2 * settings.max_fragments + 4 * kRead);
  EXPECT_TRUE(codec->failed());
  EXPECT_LT(held() - outside, kRead * 3);
  codec->receive({}, 32);
  EXPECT_LT(held() - outside, 4096u);
}

TEST_F(WebSocketMemory, EmptyFragmentsCostNothingButTheirCount) {
  std::string input = frame(kFirstText, "");
  const std::string fragment = frame(kNextFragment, "");
  while (input.size() < 1'200'000) input += fragment;
  const std::size_t outside = input.capacity() + fragment.capacity() + 2;
  EXPECT_LT(feed(input) - outside, 3 * kRead);
  EXPECT_TRUE(codec->failed());
}

// The turn ends after so many; the connection writes the answers before it goes on.
TEST_F(WebSocketMemory, AFloodOfPingsIsHeldOnceAndAnsweredByTurns) {
  const std::string ping = frame(kFinPing, std::string(125, 'p'));
  std::string input;
  while (input.size() < 1'000'000) input += ping;
  const std::size_t outside = input.capacity() + ping.capacity() + 2;
  EXPECT_LT(feed(input) - outside, 3 * kRead);
  EXPECT_FALSE(codec->has_rest());
  EXPECT_LT(held() - outside, 24u * 1024);
  EXPECT_EQ(codec->receive(std::string_view(input).substr(0, kRead), 32).size(),
            settings.max_frames_per_turn);
  EXPECT_EQ(codec->output().size(), settings.max_frames_per_turn * (2 + 125));
}

TEST_F(WebSocketMemory, ADeadCodecKeepsNothing) {
  const std::string input =
      frame(kFirstBinary, std::string(300'000, 'x')) + frame(0x83, "") + std::string(50'000, 'y');
  const std::size_t outside = input.capacity() + 1;
  feed(input);
  codec->receive(input, 32);
  EXPECT_LT(held() - outside, 2048u);
}

}  // namespace
}  // namespace fasterapi::websocket
