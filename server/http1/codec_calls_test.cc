// The codec's calls around the events, one class of state at a time.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "server/http1/codec.h"
#include "server/http1/expect_transcript.h"

namespace fasterapi::http1 {
namespace {

using namespace std::string_view_literals;

class CodecCalls : public testing::Test {
 protected:
  // The kinds of the events, one letter each, bodies with their text.
  std::string receive(std::string_view bytes) {
    std::string text;
    for (const Event& event : codec.receive(bytes)) {
      text += "HBEF"[static_cast<int>(event.kind)];
      if (event.kind == EventKind::kBody) text.append("(").append(event.body).append(")");
    }
    return text;
  }
  void answer() {
    base::Header length = {"content-length", "0"};
    ASSERT_TRUE(codec.send_head({200, {&length, 1}}, {}));
    ASSERT_TRUE(codec.send_body(std::string_view(), base::Last::kYes));
  }
  std::string sent() {
    std::string text = codec.output().to_string();
    codec.output().clear();
    return text;
  }

  base::Settings settings;
  Codec codec{settings};
};

TEST_F(CodecCalls, NothingIsParsedBetweenEndAndResume) {
  EXPECT_EQ(receive(GET "\r\n" GET), "HE");
  EXPECT_TRUE(codec.request_complete());
  EXPECT_TRUE(codec.has_rest());
  EXPECT_EQ(codec.rest_size(), (GET ""sv).size());
  EXPECT_EQ(receive("\r\n"), "");
  EXPECT_EQ(receive({}), "");
  answer();
  codec.resume();
  EXPECT_FALSE(codec.request_complete());
  EXPECT_EQ(receive({}), "HE");
  EXPECT_FALSE(codec.has_rest());
}

TEST_F(CodecCalls, BytesAfterResumeFollowThoseThatWereKept) {
  EXPECT_EQ(receive(GET "\r\nGET /2 HT"), "HE");
  answer();
  codec.resume();
  EXPECT_EQ(receive("TP/1.1\r\nHost: a\r\n\r\n" GET "\r\n"), "HE");
  EXPECT_EQ(codec.head().target, "/2");
  answer();
  codec.resume();
  EXPECT_EQ(receive(GET), "HE");
  answer();
  codec.resume();
  EXPECT_EQ(receive({}), "");
  EXPECT_TRUE(codec.in_head());
  EXPECT_EQ(receive("\r\n"), "HE");
}

TEST_F(CodecCalls, HeadLivesUntilResume) {
  EXPECT_EQ(receive(std::string(POST "X: y\r\nContent-Length: 4\r\n\r\nab")), "HB(ab)");
  base::RequestHead head = codec.head();
  EXPECT_EQ(receive(std::string("cd" GET "\r\n")), "B(cd)E");
  answer();
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.headers[1], (base::Header{"x", "y"}));
  EXPECT_EQ(codec.head().target, "/");
}

TEST_F(CodecCalls, TakeRestGivesTheUnreadBytesAway) {
  EXPECT_EQ(receive(GET "\r\n" GET "\r\n\x81\x80rest"), "HE");
  answer();
  codec.resume();
  EXPECT_EQ(receive({}), "HE");
  EXPECT_EQ(receive("more"), "");
  EXPECT_EQ(codec.take_rest(), "\x81\x80restmore");
  EXPECT_FALSE(codec.has_rest());
  EXPECT_EQ(codec.take_rest(), "");
}

TEST_F(CodecCalls, ADeadCodecIgnoresEveryByte) {
  EXPECT_EQ(receive("GET / HTTP/9.9\r\n" GET "\r\n"), "F");
  EXPECT_EQ(codec.failure().status, 505);
  EXPECT_FALSE(codec.failure().reason.empty());
  EXPECT_TRUE(codec.wants_close());
  EXPECT_FALSE(codec.has_rest());
  EXPECT_EQ(receive(GET "\r\n"), "");
  EXPECT_EQ(receive({}), "");
  EXPECT_FALSE(codec.finish());
}

TEST_F(CodecCalls, DiesInsideABody) {
  EXPECT_EQ(receive(CHUNKED "1\r\nx\r\nZ"), "HB(x)F");
  EXPECT_TRUE(codec.wants_close());
  EXPECT_EQ(receive("0\r\n\r\n" GET "\r\n"), "");
}

TEST_F(CodecCalls, AnAnswerToARequestThatTurnedBadSaysThatItIsTheLast) {
  EXPECT_EQ(receive(CHUNKED "Z"), "HF");
  EXPECT_EQ(codec.head().method, "POST");
  answer();
  EXPECT_EQ(sent(), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

TEST_F(CodecCalls, DiesInBytesThatWereKept) {
  EXPECT_EQ(receive(GET "\r\n(" GET "\r\n"), "HE");
  answer();
  codec.resume();
  EXPECT_EQ(receive({}), "F");
  EXPECT_FALSE(codec.has_rest());
  EXPECT_EQ(receive(GET "\r\n"), "");
}

TEST_F(CodecCalls, InHeadFromTheFirstByteToTheEmptyLine) {
  EXPECT_FALSE(codec.in_head());
  EXPECT_EQ(receive("\r\n"), "");
  EXPECT_FALSE(codec.in_head());  // an empty line begins no request
  EXPECT_EQ(receive("G"), "");
  EXPECT_TRUE(codec.in_head());
  EXPECT_EQ(receive("ET / HTTP/1.1\r\nHost: a\r\n\r"), "");
  EXPECT_TRUE(codec.in_head());
  EXPECT_EQ(receive("\n"), "HE");
  EXPECT_FALSE(codec.in_head());
}

// RFC 9112 8
TEST_F(CodecCalls, FinishIsCleanBetweenRequestsOnly) {
  EXPECT_TRUE(codec.finish());
  EXPECT_EQ(receive("\r\n"), "");
  EXPECT_TRUE(codec.finish());
  EXPECT_EQ(receive("P"), "");
  EXPECT_FALSE(codec.finish());
  EXPECT_EQ(receive("OST / HTTP/1.1\r\n"), "");
  EXPECT_FALSE(codec.finish());
  EXPECT_EQ(receive("Host: a\r\nContent-Length: 2\r\n\r\n"), "H");
  EXPECT_FALSE(codec.finish());
  EXPECT_EQ(receive("x"), "B(x)");
  EXPECT_FALSE(codec.finish());
  EXPECT_EQ(receive("y"), "B(y)E");
  EXPECT_TRUE(codec.finish());
  answer();
  codec.resume();
  EXPECT_TRUE(codec.finish());
}

TEST_F(CodecCalls, FinishInsideChunksIsNotClean) {
  EXPECT_EQ(receive(CHUNKED "1\r\nx\r\n"), "HB(x)");
  EXPECT_FALSE(codec.finish());
  EXPECT_EQ(receive("0\r\n"), "");
  EXPECT_FALSE(codec.finish());
  EXPECT_EQ(receive("\r\n"), "E");
  EXPECT_TRUE(codec.finish());
}

TEST_F(CodecCalls, BodyIsNotCopied) {
  std::string input = POST "Content-Length: 5\r\n\r\nhello";
  std::span<const Event> events = codec.receive(input);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[1].body.data(), input.data() + input.size() - 5);
}

TEST_F(CodecCalls, HeadSaysWhetherABodyFollows) {
  EXPECT_EQ(receive(POST "Content-Length: 0\r\n\r\n"), "HE");
  EXPECT_FALSE(codec.head().has_body);
  EXPECT_EQ(codec.head().content_length, 0u);
  answer();
  codec.resume();
  EXPECT_EQ(receive(CHUNKED), "H");
  EXPECT_TRUE(codec.head().has_body);
  EXPECT_EQ(codec.head().content_length, std::nullopt);
}

TEST_F(CodecCalls, HugeLengthIsOnlyAnnounced) {
  EXPECT_EQ(receive(POST "Content-Length: 18446744073709551615\r\n\r\nx"), "HB(x)");
  EXPECT_EQ(codec.head().content_length, 18446744073709551615u);
}

TEST_F(CodecCalls, ManyPipelinedRequestsInOneRead) {
  constexpr int kCount = 1500;
  std::string input;
  for (int i = 0; i < kCount; ++i) input += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  std::string_view next = input;
  for (int i = 0; i < kCount; ++i) {
    ASSERT_EQ(receive(std::exchange(next, {})), "HE");
    ASSERT_EQ(codec.head().target, "/" + std::to_string(i));
    answer();
    sent();
    codec.resume();
  }
  EXPECT_FALSE(codec.has_rest());
}

// RFC 9110 10.1.1
TEST_F(CodecCalls, ContinueIsSentOnceWhenItIsExpected) {
  EXPECT_EQ(receive(POST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n"), "H");
  codec.send_continue();
  codec.send_continue();
  EXPECT_EQ(sent(), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(receive("x"), "B(x)E");
  answer();
  EXPECT_TRUE(sent().starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_F(CodecCalls, ContinueIsNotSentUnasked) {
  codec.send_continue();
  EXPECT_EQ(receive(POST "Content-Length: 1\r\n\r\n"), "H");
  codec.send_continue();
  EXPECT_EQ(sent(), "");
}

TEST_F(CodecCalls, ContinueIsNotSentToHttp10) {
  EXPECT_EQ(receive("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"), "H");
  codec.send_continue();
  EXPECT_EQ(sent(), "");
}

TEST_F(CodecCalls, ContinueIsNotSentAfterTheFinalHead) {
  EXPECT_EQ(receive(POST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n"), "H");
  answer();
  sent();
  codec.send_continue();
  EXPECT_EQ(sent(), "");
}

TEST_F(CodecCalls, ContinueIsNotSentOnceTheBodyComes) {
  EXPECT_EQ(receive(POST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nx"), "HB(x)");
  codec.send_continue();
  EXPECT_EQ(sent(), "");
}

TEST_F(CodecCalls, ContinueIsNotSentForAnEmptyBody) {
  EXPECT_EQ(receive(POST "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n"), "HE");
  codec.send_continue();
  EXPECT_EQ(sent(), "");
}

TEST_F(CodecCalls, ContinueIsSentAfterARequestThatHadABody) {
  EXPECT_EQ(receive(POST "Content-Length: 1\r\n\r\nx"), "HB(x)E");
  answer();
  codec.resume();
  sent();
  EXPECT_EQ(receive(POST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n"), "H");
  codec.send_continue();
  EXPECT_EQ(sent(), "HTTP/1.1 100 Continue\r\n\r\n");
}

TEST_F(CodecCalls, ContinueOfOneRequestIsNotTheNext) {
  EXPECT_EQ(receive(POST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx"), "HB(x)E");
  answer();
  codec.resume();
  sent();
  EXPECT_EQ(receive(POST "Content-Length: 1\r\n\r\n"), "H");
  codec.send_continue();
  EXPECT_EQ(sent(), "");
}

}  // namespace
}  // namespace fasterapi::http1
