// One connection's requests, answers and ends. Pressure and deadlines have files of their own.
#include "server/connection/http1_connection.h"

#include <gtest/gtest.h>

#include <string>

#include "server/testing/connection_fixture.h"

namespace fasterapi::connection {
namespace {

using base::Last;
using testing::FakePeer;
using testing::Feed;
using testing::RecordedExchange;

constexpr std::string_view kGetAndClose = "GET /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
constexpr std::string_view kPost = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
constexpr std::string_view kChunkedHead = "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr std::string_view kExpecting =
    "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

class Http1ConnectionTest : public testing::ConnectionFixture {};

// Whatever is received comes whole, and again one byte at a time.
class Http1Fed : public Http1ConnectionTest, public ::testing::WithParamInterface<Feed> {
 protected:
  FakePeer& connect() { return Http1ConnectionTest::connect(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(, Http1Fed, ::testing::Values(Feed::kWhole, Feed::kByteByByte),
                         [](const auto& feed) {
                           return feed.param == Feed::kWhole ? "Whole" : "ByteByByte";
                         });

// --- Requests in their order -----------------------------------------------------------------

TEST_P(Http1Fed, HandsOnARequest) {
  FakePeer& peer = connect();
  peer.send(kPost);
  ASSERT_EQ(handler.size(), 1u);
  EXPECT_EQ(handler[0].method, "POST");
  EXPECT_EQ(handler[0].target, "/p");
  EXPECT_EQ(handler[0].headers.size(), 2u);
  EXPECT_EQ(handler[0].body, "hello");
  EXPECT_TRUE(handler[0].ended);
  EXPECT_EQ(handler[0].exchange().origin().peer.host, "192.0.2.1");
  EXPECT_EQ(handler[0].exchange().origin().peer.port, 4711);
  EXPECT_EQ(handler[0].exchange().origin().local.port, 80);
  EXPECT_EQ(server().total_requests(), 1u);
}

TEST_P(Http1Fed, AnswersAndKeepsTheConnection) {
  answer_with_target();
  FakePeer& peer = connect();
  for (std::string_view request : {kGet, kPost, kGetB}) peer.send(request);
  EXPECT_EQ(peer.received(), ok("/a") + ok("/p") + ok("/b"));
  EXPECT_EQ(server().connections(), 1u);
  EXPECT_TRUE(peer.reading());
}

TEST_P(Http1Fed, ALateAnswerLeavesAtTheEndOfTheTurn) {
  FakePeer& peer = connect();
  peer.send(kGet);
  handler[0].answer("late");
  EXPECT_EQ(peer.received(), "");
  turn();
  EXPECT_EQ(peer.received(), ok("late"));
}

TEST_P(Http1Fed, AnswersInPiecesAreChunked) {
  FakePeer& peer = connect();
  peer.send(kGet);
  ASSERT_TRUE(handler[0].start(200));
  ASSERT_TRUE(handler[0].send("one", Last::kNo));
  turn();
  EXPECT_EQ(peer.take_received(), "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n");
  ASSERT_TRUE(handler[0].send("", Last::kYes));
  turn();
  EXPECT_EQ(peer.received(), "0\r\n\r\n");
  EXPECT_EQ(server().connections(), 1u);
}

TEST_P(Http1Fed, ClosesAfterTheAnswerWhenAsked) {
  answer_with_target();
  FakePeer& peer = connect();
  peer.send(kGetAndClose);
  EXPECT_EQ(peer.received(), ok_and_close("/c"));
  EXPECT_EQ(server().connections(), 0u);
  turn();
  EXPECT_TRUE(peer.closed());
  EXPECT_FALSE(peer.was_reset());
  EXPECT_EQ(changes, 1);
}

TEST_P(Http1Fed, Http10ClosesAfterTheAnswer) {
  handler.on_request = [](RecordedExchange& exchange) {
    EXPECT_EQ(exchange.version.minor, 0);
    ASSERT_TRUE(exchange.start(200));
    ASSERT_TRUE(exchange.send("all of it", Last::kYes));
  };
  FakePeer& peer = connect();
  peer.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(peer.received(), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall of it");
  turn();
  EXPECT_TRUE(peer.closed());
  EXPECT_FALSE(peer.was_reset());
}

TEST_P(Http1Fed, PipelinedRequestsAreAnsweredInOrder) {
  answer_with_target();
  FakePeer& peer = connect();
  peer.send(std::string(kGet) + std::string(kPost) + std::string(kGetB));
  EXPECT_EQ(peer.received(), ok("/a") + ok("/p") + ok("/b"));
}

TEST_P(Http1Fed, AnAnswerThatComesLateHoldsThoseBehind) {
  FakePeer& peer = connect();
  peer.send(std::string(kGet) + std::string(kPost) + std::string(kGetAndClose));
  ASSERT_EQ(handler.size(), 1u);
  handler[0].answer("first");
  EXPECT_EQ(handler.size(), 1u);
  turn();
  ASSERT_EQ(handler.size(), 2u);
  EXPECT_EQ(handler[1].body, "hello");
  EXPECT_EQ(peer.received(), ok("first"));
  ASSERT_TRUE(handler[1].start(200, {{"content-length", "6"}}));
  ASSERT_TRUE(handler[1].send("sec", Last::kNo));
  turn();
  EXPECT_EQ(handler.size(), 2u);
  ASSERT_TRUE(handler[1].send("ond", Last::kYes));
  turn();
  ASSERT_EQ(handler.size(), 3u);
  handler[2].answer("third");
  turn();
  EXPECT_EQ(peer.received(), ok("first") + ok("second") + ok_and_close("third"));
  turn();
  EXPECT_TRUE(peer.closed());
}

TEST_P(Http1Fed, NothingIsReadBehindTheLastRequest) {
  answer_with_target();
  FakePeer& peer = connect();
  peer.send(std::string(kGetAndClose) + std::string(kGet));
  EXPECT_EQ(handler.size(), 1u);
  EXPECT_EQ(peer.received(), ok_and_close("/c"));
}

TEST_F(Http1ConnectionTest, BehindTheLastAnswerItSwallowsWhatWasPipelined) {
  answer_with_target();
  FakePeer& peer = connect();
  peer.send(std::string(kGetAndClose) + std::string(kGet));
  EXPECT_TRUE(peer.shut_down());  // a close now could cost the peer the answer
  EXPECT_FALSE(peer.closed());
  EXPECT_TRUE(peer.reading());
  peer.send(kGet);
  peer.end();
  turn();
  EXPECT_TRUE(peer.closed());
  EXPECT_EQ(handler.size(), 1u);
}

TEST_F(Http1ConnectionTest, AFloodOfPipelinedRequestsLeavesRoomForOthers) {
  settings.max_requests_per_turn = 4;
  answer_with_target();
  FakePeer& peer = connect();
  FakePeer& other = connect();
  std::string requests;
  std::string answers;
  for (int i = 0; i < 10; ++i) {
    requests += kGet;
    answers += ok("/a");
  }
  peer.send(requests);
  EXPECT_EQ(handler.size(), 4u);
  other.send(kGetB);  // is a turn
  EXPECT_EQ(other.received(), ok("/b"));
  EXPECT_EQ(handler.size(), 1u + 8u);
  turn();
  EXPECT_EQ(handler.size(), 1u + 10u);
  EXPECT_EQ(peer.received(), answers);
  peer.send(kGetB);
  EXPECT_EQ(peer.received(), answers + ok("/b"));
}

TEST_F(Http1ConnectionTest, TheLimitOfATurnDoesNotHoldTheLastRequest) {
  settings.max_requests_per_turn = 4;
  answer_with_target();
  FakePeer& peer = connect();
  std::string requests;
  for (int i = 0; i < 4; ++i) requests += kGet;
  peer.send(requests);
  EXPECT_EQ(peer.received().size(), 4 * ok("/a").size());
  peer.end();
  turn();
  EXPECT_TRUE(peer.closed());
}

// --- Expect: 100-continue --------------------------------------------------------------------

TEST_P(Http1Fed, ContinuesOnlyWhenTheBodyIsWanted) {
  FakePeer& peer = connect();
  peer.send(kExpecting);
  turn();
  EXPECT_EQ(peer.received(), "");
  handler[0].exchange().want_body();
  handler[0].exchange().want_body();
  turn();
  EXPECT_EQ(peer.received(), kContinue);
  peer.send("hello");
  EXPECT_EQ(handler[0].body, "hello");
  handler[0].exchange().want_body();
  handler[0].answer("x");
  turn();
  EXPECT_EQ(peer.received(), std::string(kContinue) + ok("x"));
}

TEST_P(Http1Fed, DoesNotContinueWhatHasBegun) {
  FakePeer& peer = connect();
  peer.send(std::string(kExpecting) + "he");
  handler[0].exchange().want_body();
  turn();
  EXPECT_EQ(peer.received(), "");
  peer.send("llo");
  handler[0].answer("x");
  turn();
  EXPECT_EQ(peer.received(), ok("x"));
}

TEST_P(Http1Fed, DoesNotContinueAfterTheAnswersHead) {
  FakePeer& peer = connect();
  peer.send(kExpecting);
  ASSERT_TRUE(handler[0].start(413, {{"content-length", "0"}}));
  handler[0].exchange().want_body();
  turn();
  EXPECT_EQ(peer.received().find("100"), std::string::npos);
  handler[0].detach();
  turn();
  EXPECT_TRUE(peer.closed());
}

TEST_P(Http1Fed, DoesNotContinueUnasked) {
  FakePeer& peer = connect();
  peer.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
  handler[0].exchange().want_body();
  turn();
  EXPECT_EQ(peer.received(), "");
  peer.fail("gone");
}

// --- The peer's faults -----------------------------------------------------------------------

TEST_P(Http1Fed, BadBytesAreAnsweredAndTheConnectionLingers) {
  FakePeer& peer = connect();
  peer.send("GET /\x01 HTTP/1.1\r\n\r\n");
  EXPECT_EQ(handler.size(), 0u);
  EXPECT_EQ(peer.received(), error(400, "Bad Request"));
  EXPECT_TRUE(peer.shut_down());
  EXPECT_FALSE(peer.closed());
  EXPECT_TRUE(peer.reading());
  peer.send(kGet);
  EXPECT_EQ(handler.size(), 0u);
  EXPECT_EQ(logged.size(), 1u);
  peer.end();
  turn();
  EXPECT_TRUE(peer.closed());
  EXPECT_FALSE(peer.was_reset());
}

TEST_P(Http1Fed, BadBytesBehindAnAnswerComeAfterIt) {
  answer_with_target();
  FakePeer& peer = connect();
  peer.send(std::string(kGet) + "@\r\n");
  EXPECT_EQ(peer.received(), ok("/a") + error(400, "Bad Request"));
  EXPECT_TRUE(peer.shut_down());
}

TEST_P(Http1Fed, BadBytesBehindALateAnswerWaitForIt) {
  FakePeer& peer = connect();
  peer.send(std::string(kGet) + "@\r\n");
  EXPECT_EQ(peer.received(), "");
  handler[0].answer("late");
  turn();
  EXPECT_EQ(peer.received(), ok("late") + error(400, "Bad Request"));
  EXPECT_TRUE(peer.shut_down());
  EXPECT_EQ(handler[0].cuts, 0);
}

TEST_P(Http1Fed, ABadBodyIsAnsweredAndCutsTheRequest) {
  FakePeer& peer = connect();
  peer.send(std::string(kChunkedHead) + "3\r\nabc\r\n");
  EXPECT_EQ(handler[0].body, "abc");
  peer.send("xyz\r\n");
  EXPECT_EQ(handler[0].cuts, 1);
  EXPECT_FALSE(handler[0].ended);
  EXPECT_EQ(peer.received(), error(400, "Bad Request"));
  EXPECT_TRUE(peer.shut_down());
}

TEST_P(Http1Fed, ABadBodyBehindTheAnswersHeadEndsTheConnection) {
  FakePeer& peer = connect();
  peer.send(std::string(kChunkedHead) + "3\r\nabc\r\n");
  ASSERT_TRUE(handler[0].start(200));
  ASSERT_TRUE(handler[0].send("part", Last::kNo));
  turn();
  std::string sent = peer.received();
  peer.send("xyz\r\n");
  EXPECT_EQ(handler[0].cuts, 1);
  EXPECT_EQ(peer.received(), sent);  // neither an end of the body nor a second answer
  turn();
  EXPECT_TRUE(peer.closed());
}

// --- The peer's ends -------------------------------------------------------------------------

TEST_P(Http1Fed, AnIdlePeersEndIsOurs) {
  answer_with_target();
  FakePeer& fresh = connect();
  FakePeer& used = connect();
  used.send(kGet);
  fresh.end();
  used.end();
  EXPECT_EQ(server().connections(), 0u);
  turn();
  EXPECT_TRUE(fresh.closed() && used.closed());
  EXPECT_EQ(fresh.received(), "");
}

TEST_P(Http1Fed, AnEndInsideAHeadIsNotAnswered) {
  FakePeer& peer = connect();
  peer.send(kGet.substr(0, 20));
  peer.end();
  EXPECT_EQ(server().connections(), 0u);
  EXPECT_EQ(peer.received(), "");
}

TEST_P(Http1Fed, AnEndInsideABodyCutsTheRequest) {
  FakePeer& peer = connect();
  peer.send(kPost.substr(0, kPost.size() - 1));
  peer.end();
  EXPECT_EQ(handler[0].cuts, 1);
  EXPECT_EQ(handler[0].disconnects, 0);
  EXPECT_FALSE(handler[0].ended);
  EXPECT_EQ(peer.received(), "");
  EXPECT_EQ(server().connections(), 0u);
}

TEST_P(Http1Fed, AWholeRequestIsAnsweredAlsoAfterThePeersEnd) {
  FakePeer& peer = connect();
  peer.send(kPost);
  peer.end();
  EXPECT_EQ(handler[0].disconnects, 1);
  EXPECT_EQ(handler[0].cuts, 0);
  EXPECT_EQ(server().connections(), 1u);
  handler[0].answer("still read");
  turn();
  EXPECT_EQ(peer.received(), ok("still read"));
  EXPECT_TRUE(peer.closed());
  EXPECT_EQ(handler[0].disconnects, 1);
  EXPECT_EQ(handler[0].cuts, 0);
}

TEST_P(Http1Fed, PipelinedRequestsAreAnsweredAlsoAfterThePeersEnd) {
  FakePeer& peer = connect();
  peer.send(std::string(kGet) + std::string(kPost));
  peer.end();
  handler[0].answer("one");
  turn();
  ASSERT_EQ(handler.size(), 2u);
  handler[1].answer("two");
  turn();
  EXPECT_EQ(peer.received(), ok("one") + ok("two"));
  EXPECT_TRUE(peer.closed());
}

TEST_P(Http1Fed, AFailureOfTheStreamCutsOnce) {
  FakePeer& peer = connect();
  peer.send(kPost);
  peer.fail("connection reset by peer");
  EXPECT_EQ(handler[0].cuts, 1);
  EXPECT_EQ(handler[0].disconnects, 0);
  EXPECT_EQ(server().connections(), 0u);
  turn();
  EXPECT_TRUE(peer.closed());
  ASSERT_EQ(logged.size(), 1u);
  EXPECT_NE(logged[0].find("connection reset by peer"), std::string::npos);
}

TEST_P(Http1Fed, AFailureBehindTheAnswerCutsNobody) {
  answer_with_target();
  FakePeer& peer = connect();
  peer.send(kGet);
  peer.fail("reset");
  turn();
  EXPECT_EQ(handler[0].cuts, 0);
}

TEST_P(Http1Fed, TrailersEndTheAnswer) {
  FakePeer& peer = connect();
  peer.send("GET /a HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(handler[0].start_with_trailers());
  ASSERT_TRUE(handler[0].send("x", Last::kYes));
  turn();
  EXPECT_EQ(handler.size(), 1u);  // the next request waits for the end of this one's answer
  ASSERT_TRUE(handler[0].send_trailers({{"x-a", "1"}}, Last::kYes));
  turn();
  EXPECT_EQ(peer.received(),
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx-a: 1\r\n\r\n");
  ASSERT_EQ(handler.size(), 2u);
  handler[1].answer("y");
}

TEST_P(Http1Fed, TrailersThatNeverComeCutTheAnswer) {
  FakePeer& peer = connect();
  peer.send(kGet);
  ASSERT_TRUE(handler[0].start_with_trailers());
  ASSERT_TRUE(handler[0].send("x", Last::kYes));
  handler[0].detach();
  turn();
  EXPECT_TRUE(peer.closed());
  EXPECT_TRUE(peer.received().ends_with("1\r\nx\r\n0\r\n"));  // and no empty line: not whole
}

}  // namespace
}  // namespace fasterapi::connection
