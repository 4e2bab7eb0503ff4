// What a client may send, and what it may not: the sentences of RFC 6455 5, 7 and 8.1 that a server obeys.
#include <string>
#include <string_view>

#include "server/websocket/expect_transcript.h"

namespace fasterapi::websocket {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

// --- The RFC's own examples (5.7) ----------------------------------------------------------------

TEST(WebSocketCodec, ReadsTheExamplesOfTheRfc) {
  expect_transcript("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"sv, "text Hello\n");
  expect_transcript("\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"sv, "ping Hello\n", "\x8a\x05Hello");
  expect_transcript("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"sv, "pong Hello\n");
}

TEST(WebSocketCodec, WritesTheExamplesOfTheRfc) {
  base::WebSocketSettings settings;
  Workspace workspace;
  Codec codec(settings, workspace, nullptr);
  EXPECT_TRUE(codec.send(MessageKind::kText, "Hello"sv));
  EXPECT_TRUE(codec.ping("Hello"));
  EXPECT_EQ(codec.output().to_string(), "\x81\x05Hello\x89\x05Hello");
  codec.output().clear();
  const std::string bytes(256, 'b');
  EXPECT_TRUE(codec.send(MessageKind::kBinary, bytes));
  EXPECT_EQ(codec.output().to_string(), "\x82\x7e\x01\x00"s + bytes);
  codec.output().clear();
  const std::string more(65536, 'b');
  EXPECT_TRUE(codec.send(MessageKind::kBinary, more));
  EXPECT_EQ(codec.output().to_string(), "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s + more);
}

// --- Messages ---------------------------------------------------------------------------------------

TEST(WebSocketCodec, EveryFormOfLengthIsRead) {
  base::WebSocketSettings settings;
  for (std::size_t size : {0, 1, 124, 125, 126, 127, 128, 4095, 4096, 4097, 65535, 65536, 70000}) {
    const std::string payload(size, 'x');
    expect_transcript(frame(kFinText, payload), "text " + payload + "\n");
    expect_transcript(frame(kFinBinary, payload), "binary " + payload + "\n");
  }
}

TEST(WebSocketCodec, SeveralFramesInOneReadAreSeveralMessages) {
  expect_transcript(
      frame(kFinText, "one") + frame(kFinBinary, "\x80\xff") + frame(kFinText, "") + frame(kFinText, "two"),
      "text one\nbinary \x80\xff\ntext \ntext two\n");
}

// 5.4
TEST(WebSocketCodec, FragmentsAreOneMessage) {
  expect_transcript(frame(kFirstText, "on") + frame(kNextFragment, "") + frame(kFinContinuation, "e"),
                    "text one\n");
  expect_transcript(frame(kFirstBinary, "") + frame(kFinContinuation, ""), "binary \n");
  expect_transcript(frame(kFirstText, "a") + frame(kFinContinuation, "b") + frame(kFirstText, "c") +
                        frame(kNextFragment, "d") + frame(kFinContinuation, "e") + frame(kFinText, "f"),
                    "text ab\ntext cde\ntext f\n");
}

// 5.4: "Control frames MAY be injected in the middle of a fragmented message."
TEST(WebSocketCodec, ControlFramesMayComeBetweenFragments) {
  expect_transcript(frame(kFirstText, "a") + frame(kFinPing, "1") + frame(kNextFragment, "b") +
                        frame(kFinPong, "2") + frame(kFinPing, "") + frame(kFinContinuation, "c") +
                        frame(kFinText, "d"),
                    "ping 1\npong 2\nping \ntext abc\ntext d\n",
                    "\x8a\x01"
                    "1\x8a\x00"sv);
  expect_transcript(frame(kFirstText, "a") + close_frame(1000, "bye"), "close 1000 bye\n",
                    "\x88\x02\x03\xe8");
}

// 5.5.2, 5.5.3
TEST(WebSocketCodec, EveryPingIsAnsweredWithItsPayload) {
  const std::string longest(125, 'p');
  expect_transcript(frame(kFinPing, longest) + frame(kFinPing, "\0\xff"sv),
                    "ping " + longest + "\nping \0\xff\n"s,
                    sent(kFinPong, longest) + sent(kFinPong, "\0\xff"sv));
}

// 5.3: each frame has its own key, also all zeros.
TEST(WebSocketCodec, EachFrameIsUnmaskedByItsOwnKey) {
  expect_transcript(frame(kFirstText, "one", "\0\0\0\0"sv) + frame(kNextFragment, "two", "abcd") +
                        frame(kFinContinuation, "three", "\xff\xff\xff\xff"),
                    "text onetwothree\n");
}

// --- Frames that are refused ------------------------------------------------------------------------

// 5.1: "The server MUST close the connection upon receiving a frame that is not masked."
TEST(WebSocketCodec, FramesWithoutMaskAreRefused) {
  expect_failure("\x81\x05Hello", kProtocolError);
  expect_failure("\x81\x00"sv, kProtocolError);
  expect_failure("\x89\x00"sv, kProtocolError);
  expect_failure("\x88\x00"sv, kProtocolError);
}

// 5.2
TEST(WebSocketCodec, ReservedBitsAreRefused) {
  for (int bits : {0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70}) {
    for (int first : {kFinText, kFinBinary, kFirstText, kFinPing, kFinPong, kFinClose}) {
      expect_failure(frame(first | bits, ""), kProtocolError);
    }
    expect_failure(frame(kFirstText, "") + frame(kFinContinuation | bits, ""), kProtocolError);
  }
}

// 5.2
TEST(WebSocketCodec, UnknownOpcodesAreRefused) {
  for (int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    expect_failure(frame(0x80 | opcode, ""), kProtocolError);
    expect_failure(frame(opcode, "x"), kProtocolError);
    expect_failure(frame(kFinText, "ok") + frame(0x80 | opcode, "x"), kProtocolError, "text ok\n");
  }
}

// 5.2: "the minimal number of bytes MUST be used to encode the length".
TEST(WebSocketCodec, LengthsThatAreNotInTheirShortestFormAreRefused) {
  expect_failure("\x81\xfe\x00\x00keys"sv, kProtocolError);
  expect_failure("\x81\xfe\x00\x7dkeys"s + std::string(125, 'x'), kProtocolError);
  expect_failure("\x81\xff\x00\x00\x00\x00\x00\x00\xff\xffkeys"sv, kProtocolError);
  expect_failure("\x81\xff\x00\x00\x00\x00\x00\x00\x00\x7dkeys"sv, kProtocolError);
  expect_failure("\x89\xfe\x00\x05keyshello"sv, kProtocolError);
}

// 5.2: "the most significant bit MUST be 0"
TEST(WebSocketCodec, ALengthWithItsHighestBitIsRefused) {
  base::WebSocketSettings settings;
  settings.max_message = base::kUnlimited;
  expect_failure("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00keys"sv, kProtocolError, "", settings);
  expect_failure("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xffkeys"sv, kProtocolError, "", settings);
}

// 5.5
TEST(WebSocketCodec, ControlFramesAreShortAndWhole) {
  for (int first : {kFinPing, kFinPong, kFinClose}) {
    expect_failure(frame(first, std::string(126, 'x')), kProtocolError);
    expect_failure(frame(first, std::string(65536, 'x')), kProtocolError);
    expect_failure(frame(first & 0x0f, ""), kProtocolError);
    expect_failure(frame(kFirstText, "a") + frame(first & 0x0f, ""), kProtocolError);
  }
}

// 5.4
TEST(WebSocketCodec, FragmentsComeInTheirOrder) {
  expect_failure(frame(kFinContinuation, "x"), kProtocolError);
  expect_failure(frame(kNextFragment, ""), kProtocolError);
  expect_failure(frame(kFinText, "a") + frame(kFinContinuation, "b"), kProtocolError, "text a\n");
  expect_failure(frame(kFirstText, "a") + frame(kFinContinuation, "b") + frame(kFinContinuation, "c"),
                 kProtocolError, "text ab\n");
  for (int first : {kFinText, kFirstText, kFinBinary, kFirstBinary}) {
    expect_failure(frame(kFirstText, "a") + frame(first, "b"), kProtocolError);
    expect_failure(frame(kFirstBinary, "") + frame(kNextFragment, "") + frame(first, ""), kProtocolError);
  }
}

// The answer of a server to what is no WebSocket at all.
TEST(WebSocketCodec, OtherProtocolsAreRefused) {
  expect_failure("GET / HTTP/1.1\r\nHost: a\r\n\r\n", kProtocolError);
  expect_failure(std::string(100, '\0'), kProtocolError);
  expect_failure(std::string(100, '\xff'), kProtocolError);
}

// 7.1.7, and the codec's own rule: after a fault no byte is interpreted.
TEST(WebSocketCodec, EventsBeforeAFaultAreKeptAndNothingFollowsIt) {
  base::WebSocketSettings settings;
  Transcript made(settings);
  made.feed(frame(kFinText, "kept") + frame(kFinPing, "p") + frame(0x83, "") + frame(kFinPing, "q") +
            frame(kFinText, "lost"));
  made.feed(frame(kFinText, "lost"));
  EXPECT_EQ(made.events(), "text kept\nping p\nfail 1002\n");
  EXPECT_EQ(made.codec().output().to_string(),
            sent(kFinPong, "p") + sent(kFinClose, "\x03\xeaunknown opcode"));
  EXPECT_FALSE(made.codec().send(MessageKind::kText, "x"sv));
  EXPECT_FALSE(made.codec().ping(""));
  EXPECT_FALSE(made.codec().close(1000, ""));
  made.codec().send_frames(encode_message(MessageKind::kText, "x"));
  EXPECT_EQ(made.codec().output().size(), sent(kFinPong, "p").size() + 4 + "unknown opcode"sv.size());
}

// --- UTF-8 (8.1) --------------------------------------------------------------------------------------

TEST(WebSocketCodec, TextIsUtf8) {
  const std::string text = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5 \xf0\x9f\x98\x80";
  expect_transcript(frame(kFinText, text), "text " + text + "\n");
  // Cut inside of characters: only the whole message must be UTF-8 (5.6).
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    expect_transcript(frame(kFirstText, text.substr(0, cut)) + frame(kFinPing, "\xff") +
                          frame(kFinContinuation, text.substr(cut)),
                      "ping \xff\ntext " + text + "\n", sent(kFinPong, "\xff"));
  }
  expect_failure(frame(kFinText, "\xff"), kInvalidPayload);
  expect_failure(frame(kFinText,
                       "a\xed\xa0\x80"
                       "b"),
                 kInvalidPayload);
  expect_failure(frame(kFinText, text.substr(0, text.size() - 1)), kInvalidPayload);
  expect_failure(frame(kFirstText, "\xce") + frame(kFinContinuation, ""), kInvalidPayload);
  expect_failure(frame(kFirstText, "\xce") + frame(kFinContinuation, "\xce"), kInvalidPayload);
  expect_transcript(frame(kFinBinary, "\xff\xfe"), "binary \xff\xfe\n");
  // One message's unfinished character is not the next one's.
  expect_transcript(frame(kFinBinary, "\xce") + frame(kFinText, "a"), "binary \xce\ntext a\n");
}

TEST(WebSocketCodec, ABadByteIsSeenInTheMiddleOfAFrame) {
  base::WebSocketSettings settings;
  const std::string input = frame(kFirstText, "good \xce\xba bad \xf4\x90 and so on, a long text");
  const std::size_t bad = input.size() - " and so on, a long text"sv.size();
  Transcript made(settings);
  for (std::size_t i = 0; i + 1 < bad; ++i) made.feed(input.substr(i, 1));
  EXPECT_EQ(made.events(), "");
  made.feed(input.substr(bad - 1, 1));
  EXPECT_EQ(made.events(), "fail 1007\n");
}

// --- Limits ---------------------------------------------------------------------------------------------

TEST(WebSocketCodec, AMessageThatIsTooBigIsRefusedByItsHeader) {
  base::WebSocketSettings settings;
  settings.max_message = 10;
  expect_transcript(frame(kFinText, "0123456789"), "text 0123456789\n", "", settings);
  expect_failure(frame(kFinText, "0123456789x").substr(0, 6), kMessageTooBig, "", settings);
  expect_failure(frame(kFirstText, "01234") + frame(kFinContinuation, "56789x").substr(0, 6), kMessageTooBig,
                 "", settings);
  expect_transcript(frame(kFirstText, "01234") + frame(kNextFragment, "56789") + frame(kFinContinuation, "") +
                        frame(kFinText, "0123456789"),
                    "text 0123456789\ntext 0123456789\n", "", settings);
  // 2^40 bytes, and the most that a header can announce.
  expect_failure("\x82\xff\x00\x00\x01\x00\x00\x00\x00\x00keys"sv, kMessageTooBig, "", settings);
  expect_failure("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffkeys"sv, kMessageTooBig, "", settings);
  settings.max_message = 0;
  expect_transcript(frame(kFinText, ""), "text \n", "", settings);
  expect_failure(frame(kFinText, "a"), kMessageTooBig, "", settings);
}

TEST(WebSocketCodec, TheMostThatALengthCanSayIsNoOverflowWithoutALimit) {
  base::WebSocketSettings settings;
  settings.max_message = base::kUnlimited;
  const std::string most = "\xff\x7f\xff\xff\xff\xff\xff\xff\xffkeys"s;
  Transcript made(settings);
  made.feed("\x82" + most + std::string(1000, 'x'));
  EXPECT_EQ(made.events(), "");
  EXPECT_EQ(made.codec().buffered(), 1000u);
}

TEST(WebSocketCodec, FragmentsAreCounted) {
  base::WebSocketSettings settings;
  settings.max_fragments = 3;
  const std::string three = frame(kFirstText, "a") + frame(kNextFragment, "") + frame(kFinContinuation, "b");
  expect_transcript(three + three + frame(kFinText, "c"), "text ab\ntext ab\ntext c\n", "", settings);
  expect_failure(frame(kFirstText, "a") + frame(kNextFragment, "") + frame(kNextFragment, "") +
                     frame(kFinContinuation, "b"),
                 kPolicyViolation, "", settings);
}

// --- Turns ------------------------------------------------------------------------------------------------

TEST(WebSocketCodec, InterpretsNoMoreMessagesThanAskedFor) {
  base::WebSocketSettings settings;
  Workspace workspace;
  Codec codec(settings, workspace, nullptr);
  std::string input =
      frame(kFinText, "1") + frame(kFinPing, "p") + frame(kFinText, "2") + frame(kFinPing, "q");
  EXPECT_TRUE(codec.receive(input, 0).empty());
  EXPECT_EQ(codec.rest_size(), input.size());
  EXPECT_EQ(codec.receive({}, 1).size(), 1u);
  EXPECT_EQ(codec.rest_size(), input.size() - 7);
  std::span<const Event> events = codec.receive(frame(kFinText, "3"), 2);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[1].payload, "2");
  EXPECT_EQ(events[2].payload, "q");
  EXPECT_EQ(events[3].payload, "3");
  EXPECT_FALSE(codec.has_rest());
  EXPECT_TRUE(codec.receive({}, 1).empty());
}

TEST(WebSocketCodec, InterpretsNoMoreFramesThanATurnHas) {
  base::WebSocketSettings settings;
  settings.max_frames_per_turn = 5;
  Workspace workspace;
  Codec codec(settings, workspace, nullptr);
  std::string input;
  for (int i = 0; i < 12; ++i) input += frame(kFinPing, "");
  EXPECT_EQ(codec.receive(input, 100).size(), 5u);
  EXPECT_EQ(codec.output().size(), 10u);
  EXPECT_EQ(codec.receive({}, 100).size(), 5u);
  EXPECT_TRUE(codec.has_rest());
  EXPECT_EQ(codec.receive({}, 100).size(), 2u);
  EXPECT_FALSE(codec.has_rest());
}

TEST(WebSocketCodec, ARestGrowsByWhatComes) {
  base::WebSocketSettings settings;
  settings.max_frames_per_turn = 1;
  Workspace workspace;
  Codec codec(settings, workspace, nullptr);
  std::string expected;
  std::string seen;
  for (int i = 0; i < 200; ++i) {
    const std::string text = std::to_string(i);
    expected += text + " ";
    std::span<const Event> events = codec.receive(frame(kFinText, text) + frame(kFinPong, ""), 10);
    for (const Event& event : events) {
      if (event.kind == EventKind::kMessage) seen.append(event.payload).append(" ");
    }
  }
  EXPECT_GT(codec.rest_size(), 1000u);
  while (codec.has_rest()) {
    for (const Event& event : codec.receive({}, 10)) {
      if (event.kind == EventKind::kMessage) seen.append(event.payload).append(" ");
    }
  }
  EXPECT_EQ(seen, expected);
}

TEST(WebSocketCodec, SaysWhatItHoldsOfAnUnfinishedMessage) {
  base::WebSocketSettings settings;
  Workspace workspace;
  Codec codec(settings, workspace, nullptr);
  codec.receive(frame(kFinText, "whole") + frame(kFirstText, "four"), 10);
  EXPECT_EQ(codec.buffered(), 4u);
  codec.receive(frame(kFinPing, "not counted"), 10);
  EXPECT_EQ(codec.buffered(), 4u);
  codec.receive(frame(kNextFragment, "fives").substr(0, 8), 10);
  EXPECT_EQ(codec.buffered(), 6u);
  codec.receive(frame(kNextFragment, "fives").substr(8) + frame(kFinContinuation, ""), 10);
  EXPECT_EQ(codec.buffered(), 0u);
}

// --- Large messages in the receiver's memory ----------------------------------------------------

class InPlace : public testing::Test {
 protected:
  base::WebSocketSettings settings;
  Workspace workspace;
  StringBuffers buffers;
  Codec codec{settings, workspace, nullptr, &buffers};
  const std::string large = std::string(settings.in_place_threshold, 'x') + "end";
};

TEST_F(InPlace, AMessageEndsItsCallAndTheRestFollows) {
  const std::string input =
      frame(kFinText, "a") + frame(kFinBinary, large) + frame(kFinBinary, large) + frame(kFinText, "b");
  auto events = codec.receive(input, 32);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].payload, "a");
  EXPECT_FALSE(events[0].in_place);
  ASSERT_TRUE(events[1].in_place);
  EXPECT_EQ(events[1].payload, large);
  EXPECT_EQ(static_cast<StringBuffer&>(*codec.take_buffer()).bytes, large);
  codec.handled();
  events = codec.receive({}, 32);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(static_cast<StringBuffer&>(*codec.take_buffer()).bytes, large);
  events = codec.receive({}, 32);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].payload, "b");
}

TEST_F(InPlace, TextFragmentsAndSmallMessagesAreNot) {
  settings.in_place_threshold = 1000;
  for (const std::string& input :
       {frame(kFinText, std::string(1000, 'x')), frame(kFinBinary, std::string(999, 'x')),
        frame(kFirstBinary, std::string(1000, 'x')) + frame(kFinContinuation, "")}) {
    const auto events = codec.receive(input, 32);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_FALSE(events[0].in_place);
  }
}

TEST_F(InPlace, RoomIsMadeByWhatHasCome) {
  const std::string input = frame(kFinBinary, std::string(1'000'000, 'x'));
  codec.receive(std::string_view(input).substr(0, 14), 32);
  EXPECT_EQ(codec.buffered(), 0u);
  codec.receive(std::string_view(input).substr(14, 100), 32);
  EXPECT_EQ(codec.buffered(), 100u);
  EXPECT_EQ(buffers.most, 3200u);
}

TEST_F(InPlace, WithoutMemoryTheConnectionFails) {
  buffers.fails = true;
  const auto events = codec.receive(frame(kFinBinary, large), 32);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].code, kInternalError);
  EXPECT_EQ(codec.buffered(), 0u);
}

}  // namespace
}  // namespace fasterapi::websocket
