// Deflated messages in frames (RFC 7692 6, 7.2): which frames may say so, what is checked of what comes out,
// and which messages go out deflated.
#include <algorithm>
#include <string>
#include <string_view>

#include "server/websocket/expect_transcript.h"
#include "server/websocket/zlib_peer.h"

namespace fasterapi::websocket {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr int kDeflated = kRsv1;

class WebSocketCompression : public ::testing::Test {
 protected:
  MakeDeflate make() {
    return [this] { return std::make_unique<MessageDeflate>(pool, parameters, settings); };
  }
  void expect(std::string_view input, std::string_view expected, std::string_view answer = "") {
    expect_transcript(input, expected, answer, settings, make());
  }
  void expect_fault(std::string_view input, int code, std::string_view before = "") {
    expect_failure(input, code, before, settings, make());
  }
  std::string written(Codec& codec) {
    std::string bytes = codec.output().to_string();
    codec.output().clear();
    return bytes;
  }

  base::WebSocketSettings settings;
  DeflateParameters parameters;
  DeflatePool pool;
  ZlibPeer peer;
};

// 7.2.3.1 and 7.2.3.2: the RFC's examples, with its take-over.
TEST_F(WebSocketCompression, ReadsTheExamplesOfTheRfc) {
  const std::string hello = "\xf2\x48\xcd\xc9\xc9\x07\x00"s;
  expect(frame(kFinText | kDeflated, hello), "text Hello\n");
  expect(frame(kFirstText | kDeflated, hello.substr(0, 3)) + frame(kFinContinuation, hello.substr(3)),
         "text Hello\n");
  expect(frame(kFinText | kDeflated, hello) + frame(kFinText | kDeflated, "\xf2\x00\x11\x00\x00"s),
         "text Hello\ntext Hello\n");
  // A stored block, a final block, two blocks, an empty message.
  expect(frame(kFinText | kDeflated, "\x00\x05\x00\xfa\xffHello\x00"s), "text Hello\n");
  expect(frame(kFinText | kDeflated, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s), "text Hello\n");
  expect(frame(kFinText | kDeflated, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"s),
         "text Hello\n");
  expect(frame(kFinText | kDeflated, "\x00"s), "text \n");
}

// 6.1: each message says for itself.
TEST_F(WebSocketCompression, PlainMessagesMayComeBetween) {
  const std::string one = peer.deflate("one one one one");
  const std::string two = peer.deflate("one one one two");
  expect(frame(kFinText | kDeflated, one) + frame(kFinText, "plain") + frame(kFinPing, "p") +
             frame(kFinBinary | kDeflated, two),
         "text one one one one\ntext plain\nping p\nbinary one one one two\n", sent(kFinPong, "p"));
}

TEST_F(WebSocketCompression, ControlFramesMayComeBetweenFragments) {
  const std::string deflated = peer.deflate("a message of some length");
  expect(frame(kFirstText | kDeflated, deflated.substr(0, 5)) + frame(kFinPing, "p") +
             frame(kNextFragment, "") + frame(kFinContinuation, deflated.substr(5)) + frame(kFinText, "next"),
         "ping p\ntext a message of some length\ntext next\n", sent(kFinPong, "p"));
}

TEST_F(WebSocketCompression, SeveralMessagesOfOneReadAreHeldTogether) {
  std::string input;
  std::string expected;
  for (int i = 0; i < 40; ++i) {
    const std::string message = std::string(1 + i * 37, static_cast<char>('a' + i % 26)) + std::to_string(i);
    input += i % 3 == 0 ? frame(kFinText, message) : frame(kFinText | kDeflated, peer.deflate(message));
    expected += "text " + message + "\n";
  }
  expect(input, expected);
}

// 6.1: RSV1 belongs to a message's first frame, and to no control frame.
TEST_F(WebSocketCompression, OnlyTheFirstFrameSaysSo) {
  const std::string deflated = peer.deflate("hello");
  expect_fault(frame(kFirstText | kDeflated, deflated) + frame(kFinContinuation | kDeflated, ""),
               kProtocolError);
  expect_fault(frame(kFirstText, "a") + frame(kFinContinuation | kDeflated, ""), kProtocolError);
  for (int first : {kFinPing, kFinPong, kFinClose})
    expect_fault(frame(first | kDeflated, ""), kProtocolError);
  for (int bits : {0x10, 0x20, 0x60, 0x50}) expect_fault(frame(kFinText | bits, deflated), kProtocolError);
}

TEST_F(WebSocketCompression, WhatDoesNotInflateIsAFault) {
  expect_fault(frame(kFinText | kDeflated, "\xff\xff\xff\xff"), kInvalidPayload);
  expect_fault(frame(kFinBinary | kDeflated, "\x06"), kInvalidPayload);
  // Refers to what no message has held.
  expect_fault(frame(kFinText | kDeflated, "\xf2\x00\x11\x00\x00"s), kInvalidPayload);
}

TEST_F(WebSocketCompression, WhatComesOutIsUtf8) {
  expect_fault(frame(kFinText | kDeflated, peer.deflate("bad \xff")), kInvalidPayload);
  peer.forget_sent();
  expect_fault(frame(kFinText | kDeflated, peer.deflate("cut \xe2\x82")), kInvalidPayload);
  peer.forget_sent();
  expect(frame(kFinBinary | kDeflated, peer.deflate("\xff\xfe")), "binary \xff\xfe\n");
}

TEST_F(WebSocketCompression, WhatComesOutIsLimited) {
  settings.max_message = 1000;
  expect(frame(kFinText | kDeflated, peer.deflate(std::string(1000, 'x'))),
         "text " + std::string(1000, 'x') + "\n");
  peer.forget_sent();
  expect_fault(frame(kFinText | kDeflated, peer.deflate(std::string(1001, 'x'))), kMessageTooBig);
  peer.forget_sent();
  expect_fault(
      frame(kFinText, "before") + frame(kFinText | kDeflated, peer.deflate(std::string(10'000'000, 'x'))),
      kMessageTooBig, "text before\n");
  // The limit is each message's own, also where several are held together.
  peer.forget_sent();
  const std::string most = peer.deflate(std::string(1000, 'y'));
  peer.forget_sent();
  parameters.client_no_context_takeover = true;
  expect(frame(kFinBinary | kDeflated, most) + frame(kFinBinary | kDeflated, most),
         "binary " + std::string(1000, 'y') + "\nbinary " + std::string(1000, 'y') + "\n");
  // What a header announces, too, though what cannot be deflated may be a little longer.
  expect_fault("\xc2\xff\x00\x00\x01\x00\x00\x00\x00\x00keys"s, kMessageTooBig);
  const std::string random = json_message(1000, 7);
  expect(frame(kFinBinary | kDeflated, "\x00\xe8\x03\x17\xfc"s + random + "\x00"s),
         "binary " + random + "\n");
}

TEST_F(WebSocketCompression, ACallInflatesOneMessageBeyondItsLimitAndNoMore) {
  parameters.client_no_context_takeover = true;
  const std::string bomb = frame(kFinBinary | kDeflated, peer.deflate(std::string(1'000'000, '\0')));
  std::string input;
  for (int i = 0; i < 10; ++i) input += bomb;
  Workspace workspace;
  Codec codec(settings, workspace, make()());
  for (int i = 0; i < 10; ++i) {
    std::span<const Event> events = codec.receive(i == 0 ? std::string_view(input) : std::string_view(), 32);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].payload.size(), 1'000'000u);
  }
  EXPECT_FALSE(codec.has_rest());
}

// --- Sending
// ------------------------------------------------------------------------------------------------

class WebSocketDeflating : public WebSocketCompression {
 protected:
  // What the client reads from the one frame that was written, and whether it was deflated.
  std::string read(bool deflated) {
    const std::string bytes = written(codec);
    const auto second = static_cast<unsigned char>(bytes[1]);
    const std::size_t header = second < 126 ? 2 : second == 126 ? 4 : 10;
    std::string again;
    append_frame_header(again, true, deflated, Opcode::kText, bytes.size() - header);
    EXPECT_EQ(bytes.substr(0, header), again);
    return deflated ? peer.inflate(std::string_view(bytes).substr(header)) : bytes.substr(header);
  }

  Workspace workspace;
  Codec codec{settings, workspace, make()()};
};

TEST_F(WebSocketDeflating, FromTheThresholdOn) {
  const std::string below(settings.deflate_threshold - 1, 'x');
  const std::string at(settings.deflate_threshold, 'x');
  EXPECT_TRUE(codec.deflates());
  EXPECT_TRUE(codec.send(MessageKind::kText, below));
  EXPECT_EQ(read(false), below);
  EXPECT_TRUE(codec.send(MessageKind::kText, at));
  EXPECT_EQ(read(true), at);
  EXPECT_TRUE(codec.send(MessageKind::kText, below, Compress::kYes));
  EXPECT_EQ(read(true), below);
  EXPECT_TRUE(codec.send(MessageKind::kText, at, Compress::kNo));
  EXPECT_EQ(read(false), at);
  EXPECT_TRUE(codec.send(MessageKind::kText, ""sv, Compress::kYes));
  EXPECT_EQ(read(true), "");
}

TEST_F(WebSocketDeflating, EveryFormOfLength) {
  for (std::size_t size : {80, 1000, 200'000}) {
    const std::string message = json_message(size, static_cast<unsigned>(size));
    EXPECT_TRUE(codec.send(MessageKind::kText, message));
    EXPECT_EQ(read(true), message);
  }
}

TEST_F(WebSocketDeflating, ADeflatedSliceIsLetGoOf) {
  static int released;
  released = 0;
  const std::string message = json_message(50'000, 1);
  EXPECT_TRUE(codec.send(MessageKind::kText, base::Slice(message, nullptr, [](void*) { ++released; })));
  EXPECT_EQ(released, 1);
  EXPECT_EQ(read(true), message);
}

// A message made for many moves the receiver's window and not ours.
TEST_F(WebSocketDeflating, FramesMadeForManyComeBetween) {
  const std::string message = json_message(2000, 1);
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(codec.send(MessageKind::kText, message));
    EXPECT_EQ(read(true), message);
    codec.send_frames(encode_deflated(pool, 12, settings, MessageKind::kText, "shared shared shared shared"));
    EXPECT_EQ(read(true), "shared shared shared shared");
    codec.send_frames(encode_message(MessageKind::kText, "plain"));
    EXPECT_EQ(read(false), "plain");
  }
}

TEST_F(WebSocketDeflating, ARestLosesNothing) {
  const std::string message = json_message(2000, 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(codec.send(MessageKind::kText, message));
    EXPECT_EQ(read(true), message);
    const std::string in = frame(kFinText | kDeflated, peer.deflate(message));
    std::span<const Event> events = codec.receive(in, 32);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].payload, message);
    codec.rest();
  }
}

}  // namespace
}  // namespace fasterapi::websocket
