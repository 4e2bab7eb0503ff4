// What the server writes: messages, pings and Closes, what it refuses to write, and how the two Closes end
// a connection (RFC 6455 5.5.1, 7).
#include <string>
#include <string_view>
#include <utility>

#include "server/websocket/expect_transcript.h"

namespace fasterapi::websocket {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

class WebSocketSending : public ::testing::Test {
 protected:
  std::string written() {
    std::string bytes = codec.output().to_string();
    codec.output().clear();
    return bytes;
  }
  // The events' kinds, payloads and codes as a transcript has them.
  std::string receive(std::string_view bytes) {
    std::string seen;
    for (const Event& event : codec.receive(bytes, 32)) {
      seen += std::to_string(static_cast<int>(event.kind)) + " " + std::to_string(event.code) + " ";
      seen.append(event.payload).append("\n");
    }
    return seen;
  }

  base::WebSocketSettings settings;
  Workspace workspace;
  Codec codec{settings, workspace, nullptr};
};

TEST_F(WebSocketSending, Messages) {
  EXPECT_TRUE(codec.send(MessageKind::kText, ""sv));
  EXPECT_TRUE(codec.send(MessageKind::kBinary, "\0\xff"sv));
  EXPECT_TRUE(codec.send(MessageKind::kText, "kYes"sv, Compress::kYes));  // nothing was negotiated
  EXPECT_EQ(written(), "\x81\x00\x82\x02\x00\xff\x81\x04kYes"s);
  EXPECT_FALSE(codec.deflates());
}

TEST_F(WebSocketSending, OnlyALargeSliceIsKept) {
  static int released;
  released = 0;
  const std::string bytes(settings.zero_copy_threshold, 's');
  auto slice = [&](std::size_t size) {
    return base::Slice(std::string_view(bytes).substr(0, size), nullptr, [](void*) { ++released; });
  };
  EXPECT_TRUE(codec.send(MessageKind::kBinary, slice(bytes.size() - 1)));
  EXPECT_EQ(released, 1);
  EXPECT_TRUE(codec.send(MessageKind::kText, slice(bytes.size())));
  EXPECT_EQ(released, 1);
  std::array<iovec, 4> vectors;
  ASSERT_EQ(codec.output().gather(vectors), 2u);
  EXPECT_EQ(vectors[1].iov_base, bytes.data());
  EXPECT_EQ(written(), "\x82\x7e\x3f\xff" + bytes.substr(1) + "\x81\x7e\x40\x00"s + bytes);
  EXPECT_EQ(released, 2);
  // Refused, it is let go of.
  EXPECT_TRUE(codec.close(kNormalClosure, ""));
  EXPECT_FALSE(codec.send(MessageKind::kText, slice(bytes.size())));
  EXPECT_EQ(released, 3);
}

TEST_F(WebSocketSending, FramesMadeForMany) {
  const std::string large(70000, 'x');
  for (std::string_view payload : {""sv, "hello"sv, std::string_view(large)}) {
    codec.send_frames(encode_message(MessageKind::kBinary, payload));
    const std::string made = written();
    EXPECT_TRUE(codec.send(MessageKind::kBinary, payload));
    EXPECT_EQ(made, written());
  }
  codec.send_frames({});
  EXPECT_EQ(encode_message(MessageKind::kText, "t").bytes(), "\x81\x01t");
}

// 5.5: 125 bytes
TEST_F(WebSocketSending, PingsAndPongs) {
  const std::string most(125, 'p');
  EXPECT_TRUE(codec.ping(most));
  EXPECT_EQ(written(), sent(kFinPing, most));
  EXPECT_TRUE(codec.pong(most));
  EXPECT_EQ(written(), sent(kFinPong, most));
  EXPECT_FALSE(codec.ping(most + "p"));
  EXPECT_FALSE(codec.pong(most + "p"));
  EXPECT_EQ(written(), "");
}

// --- Close --------------------------------------------------------------------------------------------

// 7.4
TEST_F(WebSocketSending, CodesThatMayBeSent) {
  for (int code = 0; code < 65536; ++code) {
    const bool defined = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
    ASSERT_EQ(may_be_sent(static_cast<std::uint16_t>(code)), defined || (code >= 3000 && code <= 4999))
        << code;
  }
}

TEST_F(WebSocketSending, ACloseIsSentOnce) {
  EXPECT_TRUE(codec.close(kGoingAway, "restart"));
  EXPECT_TRUE(codec.close_sent());
  EXPECT_FALSE(codec.wants_close());
  EXPECT_EQ(written(), sent(kFinClose, "\x03\xe9restart"));
  EXPECT_FALSE(codec.close(kGoingAway, ""));
  // 5.5.1: no data after it; and the codec's own: nothing else either.
  EXPECT_FALSE(codec.send(MessageKind::kText, "x"sv));
  EXPECT_FALSE(codec.ping("x"));
  codec.send_frames(encode_message(MessageKind::kText, "x"));
  EXPECT_EQ(receive(frame(kFinPing, "p")), "1 0 p\n");
  EXPECT_EQ(written(), "");
}

TEST_F(WebSocketSending, ACloseMayHaveNoCode) {
  EXPECT_FALSE(codec.close(kNoStatus, "reason"));
  EXPECT_TRUE(codec.close(kNoStatus, ""));
  EXPECT_EQ(written(), "\x88\x00"s);
}

TEST_F(WebSocketSending, ABadCloseIsRefusedAndAGoodOneIsStillPossible) {
  for (int code : {0, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65535}) {
    EXPECT_FALSE(codec.close(static_cast<std::uint16_t>(code), "")) << code;
  }
  EXPECT_FALSE(codec.close(kNormalClosure, std::string(124, 'r')));
  EXPECT_FALSE(codec.close(kNormalClosure, "\xff"));
  EXPECT_FALSE(codec.close(kNormalClosure, "cut \xe2\x82"));
  EXPECT_EQ(written(), "");
  EXPECT_FALSE(codec.close_sent());
  EXPECT_TRUE(codec.close(4999, std::string(123, 'r')));
  EXPECT_EQ(written(), sent(kFinClose, "\x13\x87" + std::string(123, 'r')));
}

// 5.5.1: the peer's Close is answered with its code.
TEST_F(WebSocketSending, ThePeersCloseIsAnswered) {
  EXPECT_EQ(receive(close_frame(3000, "b\xc3\xa9")), "3 3000 b\xc3\xa9\n");
  EXPECT_TRUE(codec.close_sent() && codec.close_received() && codec.wants_close());
  EXPECT_FALSE(codec.failed());
  EXPECT_EQ(written(), "\x88\x02\x0b\xb8");
  // What follows a Close is ignored (1.4), and so is what we would say.
  EXPECT_EQ(receive(frame(kFinText, "x") + frame(0x83, "") + close_frame(1000)), "");
  EXPECT_FALSE(codec.send(MessageKind::kText, "x"sv));
  EXPECT_FALSE(codec.close(kNormalClosure, ""));
  EXPECT_EQ(written(), "");
  EXPECT_FALSE(codec.has_rest());
}

TEST_F(WebSocketSending, ThePeersAnswerToOurCloseIsNotAnswered) {
  EXPECT_TRUE(codec.close(kNormalClosure, "bye"));
  written();
  // 7.1.2 leaves a peer's messages before its Close.
  EXPECT_EQ(receive(frame(kFinText, "late") + close_frame(1000, "bye")), "0 0 late\n3 1000 bye\n");
  EXPECT_EQ(written(), "");
  EXPECT_TRUE(codec.wants_close());
}

TEST_F(WebSocketSending, AFaultAfterOurCloseWritesNoSecondOne) {
  EXPECT_TRUE(codec.close(kNormalClosure, ""));
  written();
  EXPECT_EQ(receive(frame(0x83, "")), "4 1002 unknown opcode\n");
  EXPECT_EQ(written(), "");
  EXPECT_TRUE(codec.wants_close());
}

TEST(WebSocketClose, WhatThePeerMaySay) {
  expect_transcript(frame(kFinClose, ""), "close 1005 \n", "\x88\x00"sv);
  for (int code :
       {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999}) {
    const std::string answer = {static_cast<char>(code >> 8), static_cast<char>(code)};
    expect_transcript(close_frame(code), "close " + std::to_string(code) + " \n", sent(kFinClose, answer));
    const std::string reason(123, 'r');
    expect_transcript(frame(kFinText, "m") + close_frame(code, reason) + frame(kFinText, "lost"),
                      "text m\nclose " + std::to_string(code) + " " + reason + "\n", sent(kFinClose, answer));
  }
  for (int code : {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
    expect_failure(close_frame(code), kProtocolError);
    expect_failure(close_frame(code, "reason"), kProtocolError);
  }
  // 5.5.1: a body begins with two bytes of code.
  expect_failure(frame(kFinClose, "\x03"), kProtocolError);
  // "UTF-8-encoded data", whole.
  expect_failure(close_frame(1000, "\xff"), kInvalidPayload);
  expect_failure(close_frame(1000, "cut \xe2\x82"), kInvalidPayload);
}

TEST(WebSocketClose, PayloadsOfControlFramesAreWhereTheirEventsSay) {
  expect_transcript(frame(kFinPing, "one") + frame(kFinPong, "") + frame(kFinText, "text") +
                        frame(kFinPing, "two") + frame(kFirstText, "lost") + frame(kFinPong, "three") +
                        close_frame(1001, "reason"),
                    "ping one\npong \ntext text\nping two\npong three\nclose 1001 reason\n",
                    sent(kFinPong, "one") + sent(kFinPong, "two") + sent(kFinClose, "\x03\xe9"));
}

}  // namespace
}  // namespace fasterapi::websocket
