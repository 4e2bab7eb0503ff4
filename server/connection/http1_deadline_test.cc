// A connection's deadlines, with a clock that the test moves (reliability C10).
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "server/connection/http1_connection.h"
#include "server/testing/connection_fixture.h"

namespace fasterapi::connection {
namespace {

using base::Last;
using std::chrono::milliseconds;
using testing::FakePeer;
using testing::Feed;
using testing::RecordedExchange;

constexpr std::string_view kPost = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n";
constexpr milliseconds kTick{100};  // a deadline may be so much late

class Http1DeadlineTest : public testing::ConnectionFixture {
 protected:
  // To just before, and then past, a deadline that is armed now.
  void almost(milliseconds timeout) { clock.advance(timeout - milliseconds(1)); }
  void past() { clock.advance(milliseconds(1) + kTick); }
};

TEST_F(Http1DeadlineTest, AFreshConnectionWithoutABytesIsClosedSilently) {
  FakePeer& peer = connect();
  almost(settings.head_timeout);
  EXPECT_EQ(server().connections(), 1u);
  past();
  EXPECT_EQ(server().connections(), 0u);
  EXPECT_EQ(peer.received(), "");
  turn();
  EXPECT_TRUE(peer.closed());
}

TEST_F(Http1DeadlineTest, AHalfHeadIsAnswered408AndThenSwallowed) {
  FakePeer& peer = connect();
  peer.send("GET / HTTP/1.1\r\nHos");
  almost(settings.head_timeout);
  EXPECT_EQ(peer.received(), "");
  past();
  EXPECT_EQ(peer.received(), error(408, "Request Timeout"));
  EXPECT_TRUE(peer.shut_down());
  peer.send("t: h\r\n\r\n");
  EXPECT_EQ(handler.size(), 0u);
  clock.advance(settings.linger_timeout - 2 * kTick);
  EXPECT_EQ(server().connections(), 1u);
  clock.advance(3 * kTick);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(Http1DeadlineTest, ADripDoesNotMoveTheHeadsDeadline) {
  FakePeer& peer = connect();
  std::string head = "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(200, 'x');
  milliseconds passed{0};
  for (char c : head) {
    peer.send(std::string(1, c));
    clock.advance(milliseconds(100));
    passed += milliseconds(100);
    if (!peer.received().empty()) break;
  }
  EXPECT_EQ(peer.received(), error(408, "Request Timeout"));
  EXPECT_GE(passed, settings.head_timeout);
  EXPECT_LE(passed, settings.head_timeout + 2 * kTick);
}

TEST_F(Http1DeadlineTest, KeepAliveEndsSilently) {
  answer_with_target();
  FakePeer& peer = connect();
  clock.advance(settings.head_timeout / 2);
  peer.send(kGet);
  almost(settings.keep_alive_timeout);
  EXPECT_EQ(server().connections(), 1u);
  past();
  EXPECT_EQ(server().connections(), 0u);
  EXPECT_EQ(peer.received(), ok("/a"));
}

TEST_F(Http1DeadlineTest, EachRequestMovesTheKeepAlive) {
  answer_with_target();
  FakePeer& peer = connect();
  for (int i = 0; i < 5; ++i) {
    peer.send(kGet);
    almost(settings.keep_alive_timeout);
  }
  EXPECT_EQ(server().connections(), 1u);
  past();
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(Http1DeadlineTest, EmptyLinesDoNotMoveTheKeepAlive) {
  answer_with_target();
  FakePeer& peer = connect();
  peer.send(kGet);
  clock.advance(settings.keep_alive_timeout / 2);
  peer.send("\r\n");
  clock.advance(settings.keep_alive_timeout / 2 + 2 * kTick);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(Http1DeadlineTest, ANextHeadHasItsOwnTime) {
  answer_with_target();
  FakePeer& peer = connect();
  peer.send(kGet);
  peer.take_received();
  clock.advance(settings.keep_alive_timeout - kTick);
  peer.send("G");
  almost(settings.head_timeout);
  EXPECT_EQ(server().connections(), 1u);
  EXPECT_EQ(peer.received(), "");
  past();
  EXPECT_EQ(peer.received(), error(408, "Request Timeout"));
}

TEST_F(Http1DeadlineTest, TheApplicationMayTakeItsTime) {
  FakePeer& peer = connect();
  peer.send(kGet);
  clock.advance(std::chrono::hours(1));
  handler[0].answer("at last");
  turn();
  EXPECT_EQ(peer.received(), ok("at last"));
  almost(settings.keep_alive_timeout);
  EXPECT_EQ(server().connections(), 1u);
  past();
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(Http1DeadlineTest, AnAnswerInPiecesMayTakeItsTime) {
  FakePeer& peer = connect();
  peer.send(kGet);
  ASSERT_TRUE(handler[0].start(200));
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(handler[0].send("tick", Last::kNo));
    turn();
    clock.advance(std::chrono::minutes(10));
  }
  ASSERT_TRUE(handler[0].send("", Last::kYes));
  turn();
  EXPECT_EQ(server().connections(), 1u);
}

TEST_F(Http1DeadlineTest, ABodyWithoutProgressIsAnswered408) {
  FakePeer& peer = connect();
  peer.send(kPost);
  almost(settings.body_timeout);
  EXPECT_EQ(handler[0].cuts, 0);
  past();
  EXPECT_EQ(handler[0].cuts, 1);
  EXPECT_EQ(peer.received(), error(408, "Request Timeout"));
  EXPECT_TRUE(peer.shut_down());
  clock.advance(settings.linger_timeout + 2 * kTick);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(Http1DeadlineTest, ProgressMovesTheBodysDeadline) {
  settings.min_body_rate = 0;
  FakePeer& peer = connect();
  peer.send(kPost);
  for (int i = 0; i < 5; ++i) {
    almost(settings.body_timeout);
    peer.send("b");
  }
  EXPECT_EQ(handler[0].cuts, 0);
  almost(settings.body_timeout);
  past();
  EXPECT_EQ(handler[0].cuts, 1);
}

TEST_F(Http1DeadlineTest, ABodyAtTheLeastRateIsWaitedFor) {
  FakePeer& peer = connect();
  peer.send(kPost);
  for (int i = 0; i < 3600; ++i) {
    clock.advance(milliseconds(1000));
    peer.send(std::string(settings.min_body_rate, 'b'));
    ASSERT_EQ(handler[0].cuts, 0) << i << " s";
  }
}

TEST_F(Http1DeadlineTest, ABodyThatDripsIsAnswered408) {
  FakePeer& peer = connect();
  peer.send(kPost);
  milliseconds passed{0};
  while (handler[0].cuts == 0 && passed < 10 * settings.body_timeout) {
    peer.send("b");
    clock.advance(milliseconds(1000));
    passed += milliseconds(1000);
  }
  EXPECT_EQ(peer.received(), error(408, "Request Timeout"));
  EXPECT_GE(passed, settings.body_timeout);
  EXPECT_LE(passed, settings.body_timeout + milliseconds(2000));
}

TEST_F(Http1DeadlineTest, ABodySentByBytesAtTheLeastRateIsWaitedFor) {
  settings.min_body_rate = 3000;  // a byte is worth a third of a millisecond
  FakePeer& peer = connect(Feed::kByteByByte);
  peer.send(kPost);
  for (int i = 0; i < 60; ++i) {
    clock.advance(milliseconds(1000));
    peer.send(std::string(settings.min_body_rate, 'b'));
    ASSERT_EQ(handler[0].cuts, 0) << i << " s";
  }
}

TEST_F(Http1DeadlineTest, MuchAtOnceBuysNoLongerSilence) {
  FakePeer& peer = connect();
  peer.send(kPost);
  peer.send(std::string(500'000, 'b'));
  almost(settings.body_timeout);
  EXPECT_EQ(handler[0].cuts, 0);
  past();
  EXPECT_EQ(handler[0].cuts, 1);
}

TEST_F(Http1DeadlineTest, EachBodyHasItsOwnTime) {
  answer_with_target();
  FakePeer& peer = connect();
  const std::string head = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n";
  peer.send(head + "a");
  almost(settings.body_timeout);
  peer.send("a" + head + "a");  // the next one begins in the same read
  ASSERT_EQ(handler.size(), 2u);
  almost(settings.body_timeout);
  EXPECT_EQ(server().connections(), 1u);
  past();
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(Http1DeadlineTest, ABodyThatWeDoNotReadHasNoDeadline) {
  handler.on_request = [](RecordedExchange& exchange) { exchange.takes_body = false; };
  FakePeer& peer = connect();
  peer.send(std::string(kPost) + std::string(settings.body_high_water, 'b'));
  EXPECT_FALSE(peer.reading());
  clock.advance(10 * settings.body_timeout);
  EXPECT_EQ(handler[0].cuts, 0);
  handler[0].take(handler[0].body.size());
  turn();
  almost(settings.body_timeout);
  EXPECT_EQ(handler[0].cuts, 0);
  past();
  EXPECT_EQ(handler[0].cuts, 1);
}

TEST_F(Http1DeadlineTest, ABodysDeadlineBehindTheAnswersHeadEndsTheConnection) {
  FakePeer& peer = connect();
  peer.send(kPost);
  ASSERT_TRUE(handler[0].start(200));
  ASSERT_TRUE(handler[0].send("part", Last::kNo));
  turn();
  std::string sent = peer.received();
  almost(settings.body_timeout);
  past();
  EXPECT_EQ(handler[0].cuts, 1);
  EXPECT_EQ(peer.received(), sent);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(Http1DeadlineTest, AWriteStallIsReset) {
  FakePeer& peer = connect();
  peer.window = 10;
  peer.send(kGet);
  handler[0].answer(std::string(100'000, 'x'));
  turn();
  almost(settings.write_timeout);
  EXPECT_FALSE(peer.was_reset());
  past();
  EXPECT_TRUE(peer.was_reset());
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(Http1DeadlineTest, AWriteStallCutsTheRequest) {
  FakePeer& peer = connect();
  peer.window = 10;
  peer.send(kGet);
  ASSERT_TRUE(handler[0].start(200));
  ASSERT_TRUE(handler[0].send(std::string(100'000, 'x'), Last::kNo));
  turn();
  almost(settings.write_timeout);
  past();
  EXPECT_EQ(handler[0].cuts, 1);
  EXPECT_TRUE(peer.was_reset());
}

TEST_F(Http1DeadlineTest, ASlowReaderIsWaitedFor) {
  FakePeer& peer = connect();
  peer.window = 10;
  peer.send(kGet);
  handler[0].answer(std::string(100'000, 'x'));
  turn();
  for (int i = 0; i < 20; ++i) {
    clock.advance(settings.write_timeout / 2);
    peer.take(100);
    EXPECT_FALSE(peer.was_reset());
  }
  clock.advance(2 * settings.write_timeout + 2 * kTick);
  EXPECT_TRUE(peer.was_reset());
}

TEST_F(Http1DeadlineTest, AfterAWriteTheKeepAliveCountsFromItsEnd) {
  answer_with_target();
  FakePeer& peer = connect();
  peer.window = 10;
  peer.send(kGet);
  clock.advance(settings.write_timeout / 2);
  peer.take_all();
  EXPECT_EQ(peer.received(), ok("/a"));
  almost(settings.keep_alive_timeout);
  EXPECT_EQ(server().connections(), 1u);
  past();
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(Http1DeadlineTest, A408ThatNobodyReadsEndsToo) {
  FakePeer& peer = connect();
  peer.window = 0;
  peer.send("G");
  almost(settings.head_timeout);
  past();
  EXPECT_FALSE(peer.shut_down());
  almost(settings.write_timeout);
  past();
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(Http1DeadlineTest, LingeringEndsInItsTimeWhateverComes) {
  FakePeer& peer = connect();
  peer.send("@");
  EXPECT_EQ(peer.received(), error(400, "Bad Request"));
  milliseconds passed{0};
  while (server().connections() == 1 && passed < 10 * settings.linger_timeout) {
    peer.send("more and more");
    clock.advance(kTick);
    passed += kTick;
  }
  EXPECT_GE(passed, settings.linger_timeout);
  EXPECT_LE(passed, settings.linger_timeout + 2 * kTick);
}

TEST_F(Http1DeadlineTest, AnEarlyAnswersRestHasTheBodysDeadline) {
  answer_with_target();
  FakePeer& peer = connect();
  peer.send(kPost);
  peer.send("b");
  EXPECT_EQ(peer.received(), ok("/p"));
  almost(settings.body_timeout);
  EXPECT_EQ(server().connections(), 1u);
  past();
  EXPECT_EQ(server().connections(), 0u);
  EXPECT_EQ(peer.received(), ok("/p"));
}

// RFC 9110 10.1.1: it may now send the body or not, and nobody could tell a body from a request.
TEST_F(Http1DeadlineTest, AnExpectationThatIsAnsweredEarlyEndsTheConnection) {
  FakePeer& peer = connect();
  peer.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  handler[0].answer("no");
  turn();
  EXPECT_EQ(peer.received(), ok_and_close("no"));
  EXPECT_TRUE(peer.shut_down());
  clock.advance(settings.linger_timeout + 2 * kTick);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(Http1DeadlineTest, AnExpectationWhoseAnswerHasBegunHasTheBodysDeadline) {
  FakePeer& peer = connect();
  peer.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_TRUE(handler[0].start(200));
  ASSERT_TRUE(handler[0].send("part", Last::kNo));
  turn();
  almost(settings.body_timeout);
  EXPECT_EQ(handler[0].cuts, 0);
  past();
  EXPECT_EQ(handler[0].cuts, 1);
}

TEST_F(Http1DeadlineTest, DrainDoesNotWaitForTheRestOfARequestThatIsAnswered) {
  FakePeer& peer = connect();
  peer.send(kPost);
  handler[0].answer("early");
  turn();
  EXPECT_EQ(peer.received(), ok("early"));
  server().drain();
  turn();
  EXPECT_TRUE(peer.shut_down());
  clock.advance(settings.linger_timeout + 2 * kTick);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(Http1DeadlineTest, DrainDoesNotWaitForAHeadOfOldTime) {
  FakePeer& peer = connect();
  peer.send(kGet);
  server().drain();
  clock.advance(std::chrono::minutes(5));
  handler[0].answer("x");
  turn();
  EXPECT_TRUE(peer.closed());
  EXPECT_EQ(loop.wheel().armed(), 0u);
}

}  // namespace
}  // namespace fasterapi::connection
