// How an exchange and its connection end when it is not the peer's doing: the application's side
// goes away, the server drains or aborts, an answer comes before its request is whole.
#include <gtest/gtest.h>

#include <string>

#include "server/connection/http1_connection.h"
#include "server/testing/connection_fixture.h"

namespace fasterapi::connection {
namespace {

using base::Last;
using testing::FakePeer;
using testing::Feed;
using testing::RecordedExchange;

constexpr std::string_view kGet10 = "GET /a HTTP/1.0\r\n\r\n";

std::string post(std::size_t length) {
  return "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
}

class Http1EndingTest : public testing::ConnectionFixture {};

// --- The application's side goes away --------------------------------------------------------

TEST_F(Http1EndingTest, DetachedBeforeTheAnswerTheConnectionIsCut) {
  FakePeer& peer = connect();
  peer.send(kGet);
  handler[0].detach();
  turn();
  EXPECT_TRUE(peer.closed());
  EXPECT_EQ(peer.received(), "");
  EXPECT_EQ(handler[0].cuts, 0);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(Http1EndingTest, DetachedInsideTheHandler) {
  handler.on_request = [](RecordedExchange& exchange) { exchange.detach(); };
  FakePeer& peer = connect();
  peer.send(post(5) + "hello" + std::string(kGet));
  turn();
  EXPECT_TRUE(peer.closed());
  EXPECT_EQ(handler.size(), 1u);
  EXPECT_EQ(peer.received(), "");
}

TEST_F(Http1EndingTest, DetachedInTheMiddleOfAnAnswerItShows) {
  FakePeer& peer = connect();
  peer.send(kGet);
  ASSERT_TRUE(handler[0].start(200));
  ASSERT_TRUE(handler[0].send("part", Last::kNo));
  handler[0].detach();
  turn();
  EXPECT_TRUE(peer.closed());
  EXPECT_EQ(peer.received().substr(peer.received().size() - 9), "4\r\npart\r\n");  // no last chunk
}

// RFC 9112 8: there a close is the body's end.
TEST_F(Http1EndingTest, DetachedInTheMiddleOfAnAnswerThatEndsByCloseItResets) {
  FakePeer& peer = connect();
  peer.send(kGet10);
  ASSERT_TRUE(handler[0].start(200));
  ASSERT_TRUE(handler[0].send("part", Last::kNo));
  turn();
  EXPECT_EQ(peer.received(), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\npart");
  handler[0].detach();
  turn();
  EXPECT_TRUE(peer.was_reset());
}

TEST_F(Http1EndingTest, TheApplicationsFaultWritesNothingAndCanBeMended) {
  FakePeer& peer = connect();
  peer.send(kGet);
  EXPECT_FALSE(handler[0].start(200, {{"bad name", "x"}}));
  EXPECT_FALSE(handler[0].start(200, {{"x", "a\r\nb: c"}}));
  EXPECT_FALSE(handler[0].start(99));
  EXPECT_FALSE(handler[0].send("x", Last::kNo));
  turn();
  EXPECT_EQ(peer.received(), "");
  handler[0].answer("mended");
  turn();
  EXPECT_EQ(peer.received(), ok("mended"));
}

TEST_F(Http1EndingTest, AShortBodyIsAFailureAndThenACut) {
  FakePeer& peer = connect();
  peer.send(kGet);
  ASSERT_TRUE(handler[0].start(200, {{"content-length", "5"}}));
  EXPECT_FALSE(handler[0].send("abc", Last::kYes));
  EXPECT_FALSE(handler[0].send("abcdef", Last::kYes));
  handler[0].detach();
  turn();
  EXPECT_TRUE(peer.closed());
}

// --- The server ends -------------------------------------------------------------------------

TEST_F(Http1EndingTest, DrainEndsIdleConnectionsAtOnce) {
  answer_with_target();
  FakePeer& fresh = connect();
  FakePeer& used = connect();
  used.send(kGet);
  server().drain();
  EXPECT_EQ(server().connections(), 0u);
  turn();
  EXPECT_TRUE(fresh.closed() && used.closed());
  EXPECT_GE(changes, 1);
}

TEST_F(Http1EndingTest, DrainWaitsForTheAnswerAndSaysSo) {
  FakePeer& peer = connect();
  FakePeer& idle = connect();
  peer.send(kGet);
  server().drain();
  turn();
  EXPECT_TRUE(idle.closed());
  EXPECT_EQ(handler[0].cuts, 0);
  EXPECT_EQ(server().connections(), 1u);
  handler[0].answer("last");
  turn();
  EXPECT_EQ(peer.received(), ok_and_close("last"));
  EXPECT_TRUE(peer.closed());
  EXPECT_FALSE(peer.was_reset());
}

TEST_F(Http1EndingTest, DrainBehindTheAnswersHeadEndsAfterIt) {
  FakePeer& peer = connect();
  peer.send(kGet);
  ASSERT_TRUE(handler[0].start(200, {{"content-length", "4"}}));
  server().drain();
  ASSERT_TRUE(handler[0].send("rest", Last::kYes));
  turn();
  EXPECT_EQ(peer.received(), ok("rest"));
  EXPECT_TRUE(peer.closed());
}

TEST_F(Http1EndingTest, DrainTellsARequestInHandOnce) {
  connect().send(kGet);
  FakePeer& answered = connect();
  answered.send(kGet);
  handler[1].answer("whole");
  EXPECT_FALSE(handler[0].exchange().draining());
  server().drain();
  EXPECT_EQ(handler[0].drains, 1);
  server().drain();
  EXPECT_EQ(handler[0].drains, 1);
  EXPECT_EQ(handler[1].drains, 0);
}

TEST_F(Http1EndingTest, DrainWaitsForWhatIsQueued) {
  answer_with_target();
  FakePeer& peer = connect();
  peer.window = 5;
  peer.send(kGet);
  server().drain();
  EXPECT_EQ(server().connections(), 1u);
  peer.take_all();
  EXPECT_EQ(peer.received(), ok("/a"));
  turn();
  EXPECT_TRUE(peer.closed());
}

TEST_F(Http1EndingTest, DrainingItTakesNoFurtherRequest) {
  FakePeer& peer = connect();
  peer.send(std::string(kGet) + std::string(kGetB));
  server().drain();
  handler[0].answer("one");
  turn();
  EXPECT_EQ(handler.size(), 1u);
  EXPECT_EQ(peer.received(), ok_and_close("one"));
  EXPECT_TRUE(peer.shut_down());  // the second request may still be on its way: swallowed
  peer.end();
  turn();
  EXPECT_TRUE(peer.closed());
}

TEST_F(Http1EndingTest, DrainInsideTheHandler) {
  handler.on_request = [&](RecordedExchange& exchange) {
    server().drain();
    exchange.answer("last");
  };
  FakePeer& peer = connect();
  peer.send(kGet);
  EXPECT_EQ(peer.received(), ok_and_close("last"));
  turn();
  EXPECT_TRUE(peer.closed());
}

TEST_F(Http1EndingTest, RetiringAnIdleConnectionAnswersItsNextRequestAndSaysSo) {
  answer_with_target();
  FakePeer& fresh = connect();
  FakePeer& used = connect();
  used.send(kGet);
  turn();
  server().retire();
  turn();
  EXPECT_EQ(server().connections(), 2u);
  fresh.send(kGet);
  used.send(kGetB);
  turn();
  EXPECT_EQ(fresh.received(), ok_and_close("/a"));
  EXPECT_EQ(used.received(), ok("/a") + ok_and_close("/b"));
  EXPECT_TRUE(fresh.closed() && used.closed());
}

TEST_F(Http1EndingTest, RetiringBehindTheAnswersHeadTakesOneMoreRequest) {
  FakePeer& peer = connect();
  peer.send(kGet);
  ASSERT_TRUE(handler[0].start(200, {{"content-length", "4"}}));
  server().retire();
  ASSERT_TRUE(handler[0].send("rest", Last::kYes));
  turn();
  EXPECT_FALSE(peer.closed());
  peer.send(kGetB);
  handler[1].answer("last");
  turn();
  EXPECT_EQ(peer.received(), ok("rest") + ok_and_close("last"));
  EXPECT_TRUE(peer.closed());
}

TEST_F(Http1EndingTest, AbortCutsEveryRequestOnce) {
  FakePeer& first = connect();
  FakePeer& second = connect();
  FakePeer& idle = connect();
  first.send(kGet);
  second.send(post(5) + "he");
  server().abort();
  EXPECT_EQ(server().connections(), 0u);
  EXPECT_EQ(handler[0].cuts, 1);
  EXPECT_EQ(handler[1].cuts, 1);
  turn();
  EXPECT_TRUE(first.closed() && second.closed() && idle.closed());
}

TEST_F(Http1EndingTest, AbortInsideTheHandler) {
  FakePeer& other = connect();
  other.send(kGet);
  handler.on_request = [&](RecordedExchange&) { server().abort(); };
  FakePeer& peer = connect();
  peer.send(post(5) + "hello" + std::string(kGet));
  EXPECT_EQ(handler.size(), 2u);
  EXPECT_EQ(handler[0].cuts, 1);
  EXPECT_EQ(handler[1].cuts, 1);
  EXPECT_EQ(handler[1].body, "");
  turn();
  EXPECT_TRUE(peer.closed() && other.closed());
}

TEST_F(Http1EndingTest, AbortInsideTheHandlerOfAPipelinedRequest) {
  FakePeer& peer = connect();
  peer.send(std::string(kGet) + std::string(kGetB) + std::string(kGet));
  handler.on_request = [&](RecordedExchange&) { server().abort(); };
  handler[0].answer("one");
  turn();
  EXPECT_EQ(handler.size(), 2u);
  EXPECT_EQ(handler[1].cuts, 1);
  EXPECT_TRUE(peer.closed());
}

TEST_F(Http1EndingTest, AbortInsideOnWritable) {
  FakePeer& peer = connect();
  peer.window = 0;
  peer.send(kGet);
  ASSERT_TRUE(handler[0].start(200));
  ASSERT_TRUE(handler[0].send(std::string(settings.write_high_water, 'x'), Last::kNo));
  turn();
  handler[0].when_writable = [&] { server().abort(); };
  peer.take_all();
  EXPECT_EQ(handler[0].writables, 1);
  EXPECT_EQ(handler[0].cuts, 1);
  turn();
  EXPECT_TRUE(peer.closed());
}

TEST_F(Http1EndingTest, BytesThatComeAfterTheEndAreNotRead) {
  FakePeer& peer = connect();
  peer.send(kGet);
  server().abort();
  EXPECT_FALSE(peer.reading());
  handler.on_request = [](RecordedExchange&) { FAIL(); };
  peer.send(kGetB);
  turn();
  EXPECT_EQ(peer.received(), "");
}

// --- An answer before the request's end ------------------------------------------------------

TEST_F(Http1EndingTest, AfterAnEarlyAnswerASmallRestIsSwallowed) {
  answer_with_target();
  FakePeer& peer = connect();
  peer.send(post(100'000));
  EXPECT_EQ(peer.received(), ok("/p"));
  EXPECT_FALSE(peer.shut_down());
  peer.send(std::string(99'999, 'b'));
  EXPECT_EQ(handler.size(), 1u);
  EXPECT_TRUE(peer.reading());
  peer.send("b" + std::string(kGet));
  EXPECT_EQ(peer.received(), ok("/p") + ok("/a"));
  EXPECT_EQ(handler[0].body, "");
}

TEST_F(Http1EndingTest, AfterAnEarlyAnswerALargeRestEndsTheConnection) {
  settings.max_discarded_body = 100'000;
  answer_with_target();
  FakePeer& peer = connect();
  peer.send(post(1'000'000));
  peer.send(std::string(100'000, 'b'));
  EXPECT_FALSE(peer.shut_down());
  peer.send("b");
  EXPECT_TRUE(peer.shut_down());
  EXPECT_FALSE(peer.closed());
  peer.send(std::string(100'000, 'b'));
  EXPECT_EQ(peer.unread(), 0u);  // swallowed still, so that the answer is not lost to a reset
  peer.send(std::string(10 * FakePeer::kOneRead, 'b'));
  EXPECT_GT(peer.unread(), 0u);  // but not for ever
  EXPECT_FALSE(peer.closed());
  EXPECT_EQ(peer.received(), ok("/p"));
  clock.advance(settings.linger_timeout + std::chrono::milliseconds(200));
  turn();
  EXPECT_TRUE(peer.closed());
}

TEST_F(Http1EndingTest, AClientThatEndsWhileWeLingerIsNotWaitedFor) {
  answer_with_target();
  FakePeer& peer = connect();
  peer.send("@");
  EXPECT_TRUE(peer.shut_down());
  peer.send("some more");
  peer.end();
  turn();
  EXPECT_TRUE(peer.closed());
}

// A fault in the rest of a body behind its answer: that was sent, and must arrive.
TEST_F(Http1EndingTest, AnEarlyAnswerIsNotLostToAFaultBehindIt) {
  answer_with_target();
  FakePeer& peer = connect();
  peer.send("POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n");
  EXPECT_EQ(peer.received(), ok("/p"));
  peer.send("no chunk\r\n");
  EXPECT_EQ(peer.received(), ok("/p"));
  EXPECT_TRUE(peer.shut_down());
  EXPECT_FALSE(peer.closed());
}

TEST_F(Http1EndingTest, AnEarlyAnswerThatClosesLingersAtOnce) {
  handler.on_request = [](RecordedExchange& exchange) {
    ASSERT_TRUE(exchange.start(413, {{"content-length", "0"}, {"connection", "close"}}));
    ASSERT_TRUE(exchange.send("", Last::kYes));
  };
  FakePeer& peer = connect();
  peer.send(post(1'000'000) + "abc");
  EXPECT_TRUE(peer.shut_down());
  EXPECT_TRUE(peer.reading());
  peer.send(std::string(200'000, 'b'));
  EXPECT_EQ(peer.unread(), 0u);
  peer.end();
  turn();
  EXPECT_TRUE(peer.closed());
}

TEST_F(Http1EndingTest, ItLingersOnlyBehindTheLastByte) {
  handler.on_request = [](RecordedExchange& exchange) {
    ASSERT_TRUE(exchange.start(413, {{"content-length", "3"}, {"connection", "close"}}));
    ASSERT_TRUE(exchange.send("no!", Last::kYes));
  };
  FakePeer& peer = connect();
  peer.window = 10;
  peer.send(post(1'000'000) + "abc");
  EXPECT_FALSE(peer.shut_down());
  peer.take_all();
  EXPECT_TRUE(peer.shut_down());
  EXPECT_EQ(peer.received().substr(peer.received().size() - 3), "no!");
  peer.fail("gone");
}

TEST_F(Http1EndingTest, AnEarlyAnswersUnreadBodyCountsAsSwallowed) {
  handler.on_request = [](RecordedExchange& exchange) { exchange.takes_body = false; };
  FakePeer& peer = connect();
  peer.send(post(10'000'000) + std::string(settings.body_high_water, 'b'));
  EXPECT_FALSE(peer.reading());
  handler[0].answer("no");
  turn();
  EXPECT_EQ(peer.received(), ok("no"));
  for (int i = 0; i < 20 && !peer.shut_down(); ++i) {
    ASSERT_TRUE(peer.reading());
    peer.send(std::string(50'000, 'b'));
  }
  EXPECT_TRUE(peer.shut_down());
  peer.end();
  turn();
  EXPECT_TRUE(peer.closed());
}

TEST_F(Http1EndingTest, AnEarlyAnswerInPiecesTakesTheBodyMeanwhile) {
  FakePeer& peer = connect(Feed::kByteByByte);
  peer.send(post(5) + "he");
  ASSERT_TRUE(handler[0].start(200));
  turn();
  peer.send("llo");
  EXPECT_EQ(handler[0].body, "hello");
  EXPECT_TRUE(handler[0].ended);
  ASSERT_TRUE(handler[0].send("x", Last::kYes));
  turn();
  peer.send(kGetB);
  EXPECT_EQ(handler.size(), 2u);
  peer.fail("gone");
}

}  // namespace
}  // namespace fasterapi::connection
