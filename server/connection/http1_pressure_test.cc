// Back-pressure of a connection, both ways: what is held is bounded, and goes on when it can.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "server/connection/http1_connection.h"
#include "server/testing/connection_fixture.h"

namespace fasterapi::connection {
namespace {

using base::Last;
using testing::FakePeer;
using testing::RecordedExchange;

std::string post(std::size_t length) {
  return "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
}

// Bytes that say how often they were released.
struct Owner {
  explicit Owner(std::size_t size) : bytes(size, 's') {}
  base::Slice slice() {
    return {bytes, this, [](void* self) { ++static_cast<Owner*>(self)->released; }};
  }
  std::string bytes;
  int released = 0;
};

class Http1PressureTest : public testing::ConnectionFixture {
 protected:
  Http1PressureTest() {
    settings.body_high_water = 1000;
    settings.write_high_water = 1000;
    settings.write_low_water = 100;
    settings.zero_copy_threshold = 500;
  }

  // A request whose answer has begun, and of whose bytes the peer takes none.
  RecordedExchange& begin_answer(FakePeer& peer) {
    peer.send(kGet);
    EXPECT_TRUE(handler.last().start(200));
    turn();
    peer.take_received();
    peer.window = 0;
    return handler.last();
  }
};

// --- In --------------------------------------------------------------------------------------

TEST_F(Http1PressureTest, ABodyThatNobodyTakesIsNotReadFurther) {
  handler.on_request = [](RecordedExchange& exchange) { exchange.takes_body = false; };
  FakePeer& peer = connect();
  peer.send(post(1'000'000));
  peer.send(std::string(999, 'b'));
  EXPECT_TRUE(peer.reading());
  peer.send("b");
  EXPECT_FALSE(peer.reading());
  peer.send(std::string(200'000, 'b'));
  turn();
  EXPECT_EQ(handler[0].body.size(), 1000u);
  handler[0].take(1);
  turn();
  EXPECT_TRUE(peer.reading());
  peer.deliver();
  EXPECT_EQ(handler[0].body.size(), 1000u + FakePeer::kOneRead);  // one read is as fine as it gets
  EXPECT_FALSE(peer.reading());
  handler[0].take(FakePeer::kOneRead);
  turn();
  EXPECT_TRUE(peer.reading());
  peer.fail("gone");
}

TEST_F(Http1PressureTest, ATakenBodyIsReadOn) {
  FakePeer& peer = connect();
  peer.send(post(1'000'000) + std::string(1'000'000, 'b'));
  EXPECT_EQ(handler[0].body.size(), 1'000'000u);
  EXPECT_TRUE(handler[0].ended);
  handler[0].answer("all");
  turn();
  EXPECT_EQ(peer.received(), ok("all"));
}

// What HEAD drops counts as well, and so do pieces that are empty: an answer without an end would
// otherwise never wait, and nobody else have a turn.
TEST_F(Http1PressureTest, PiecesThatQueueNothingEndTheTurnToo) {
  for (auto [head, piece] : {std::pair("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n", std::string(64 * 1024, 'x')),
                             std::pair("GET /a HTTP/1.1\r\nHost: h\r\n\r\n", std::string())}) {
    FakePeer& peer = connect();
    int pieces = 0;
    handler.on_request = [&](RecordedExchange& exchange) {
      ASSERT_TRUE(exchange.start(200));
      while (exchange.exchange().writable() && pieces < 100'000) {
        ASSERT_TRUE(exchange.send(std::string_view(piece), Last::kNo));
        ++pieces;
      }
    };
    peer.send(head);
    EXPECT_LE(pieces, 5000);
    EXPECT_FALSE(handler.last().exchange().writable());
    turn();
    EXPECT_EQ(handler.last().writables, 1);
    peer.fail("gone");
  }
}

TEST_F(Http1PressureTest, BodiesInOneReadWithTheHeadCountToo) {
  handler.on_request = [](RecordedExchange& exchange) { exchange.takes_body = false; };
  FakePeer& peer = connect();
  peer.send(post(2000) + std::string(1000, 'b'));
  EXPECT_FALSE(peer.reading());
  handler[0].take(1000);
  turn();
  EXPECT_TRUE(peer.reading());
  peer.send(std::string(1000, 'b'));
  EXPECT_TRUE(handler[0].ended);
  handler[0].take(1000);
  handler[0].answer("x");
  turn();
  EXPECT_TRUE(peer.reading());
}

TEST_F(Http1PressureTest, AnUnreadBodyDoesNotWeighOnTheNextRequest) {
  handler.on_request = [](RecordedExchange& exchange) { exchange.takes_body = false; };
  FakePeer& peer = connect();
  peer.send(post(1000) + std::string(1000, 'b'));
  EXPECT_TRUE(handler[0].ended);
  handler[0].answer("no");
  turn();
  peer.send(post(999) + std::string(999, 'b'));
  ASSERT_EQ(handler.size(), 2u);
  EXPECT_TRUE(peer.reading());
  handler[1].answer("no");
  turn();
  EXPECT_EQ(peer.received(), ok("no") + ok("no"));
}

TEST_F(Http1PressureTest, PipelinedBytesAreBoundedToo) {
  settings.write_high_water = 64 * 1024;
  FakePeer& peer = connect();
  std::string flood;
  while (flood.size() < 200'000) flood += kGet;
  peer.send(flood);
  EXPECT_FALSE(peer.reading());
  EXPECT_GE(peer.unread(), flood.size() - 1000 - 2 * FakePeer::kOneRead);
  handler.on_request = [](RecordedExchange& exchange) { exchange.answer("x"); };
  handler[0].answer("x");
  for (int i = 0; i < 10'000 && handler.size() < flood.size() / kGet.size(); ++i) {
    turn();
    peer.deliver();
  }
  EXPECT_EQ(handler.size(), flood.size() / kGet.size());
  EXPECT_EQ(peer.received().size(), handler.size() * ok("x").size());
  EXPECT_TRUE(peer.reading());
}

TEST_F(Http1PressureTest, WhoDoesNotReadAnswersIsNotReadEither) {
  handler.on_request = [](RecordedExchange& exchange) { exchange.answer(std::string(400, 'a')); };
  FakePeer& peer = connect();
  peer.window = 0;
  std::string flood;
  for (int i = 0; i < 100; ++i) flood += kGet;
  peer.send(flood);
  for (int i = 0; i < 20; ++i) turn();
  EXPECT_LE(handler.size(), 4u);
  EXPECT_LE(peer.queued(), 2000u);
  for (int i = 0; i < 200; ++i) {
    peer.take(500);
    turn();
  }
  EXPECT_EQ(handler.size(), 100u);
  EXPECT_EQ(peer.received().size(), 100 * ok(std::string(400, 'a')).size());
}

TEST_F(Http1PressureTest, ARequestBehindALargeAnswerThatIsTakenAtOnceGoesOn) {
  FakePeer& peer = connect();
  std::string large(settings.write_high_water, 'L');
  peer.send(std::string(kGet) + std::string(kGet));
  handler[0].answer(large);
  turn();
  EXPECT_EQ(peer.received(), ok(large));
  ASSERT_EQ(handler.size(), 2u);
  handler[1].answer("x");
  turn();
  EXPECT_EQ(peer.received(), ok(large) + ok("x"));
}

// --- Out -------------------------------------------------------------------------------------

TEST_F(Http1PressureTest, WritableUntilTheHighWaterMark) {
  FakePeer& peer = connect();
  RecordedExchange& exchange = begin_answer(peer);
  ASSERT_TRUE(exchange.send(std::string(900, 'x'), Last::kNo));
  turn();
  EXPECT_TRUE(exchange.exchange().writable());
  ASSERT_TRUE(exchange.send(std::string(100, 'x'), Last::kNo));
  EXPECT_FALSE(exchange.exchange().writable());
  turn();
  EXPECT_FALSE(exchange.exchange().writable());
  EXPECT_EQ(exchange.writables, 0);
  peer.take_all();
  EXPECT_EQ(exchange.writables, 1);
  EXPECT_TRUE(exchange.exchange().writable());
  ASSERT_TRUE(exchange.send("", Last::kYes));
  turn();
  EXPECT_EQ(exchange.writables, 1);
  EXPECT_EQ(server().connections(), 1u);
}

// Or two of the application's pieces would be held for each peer that does not read.
TEST_F(Http1PressureTest, NotWritableWhileAPartOfAPieceIsLeft) {
  FakePeer& peer = connect();
  RecordedExchange& exchange = begin_answer(peer);
  peer.window = 500;
  Owner owner(1000);
  ASSERT_TRUE(exchange.send(owner.slice(), Last::kNo));
  EXPECT_LT(peer.queued(), settings.write_high_water);
  EXPECT_FALSE(exchange.exchange().writable());
  turn();
  EXPECT_EQ(exchange.writables, 0);
  peer.take_all();
  EXPECT_EQ(owner.released, 1);
  EXPECT_EQ(exchange.writables, 1);
  ASSERT_TRUE(exchange.send("", Last::kYes));
}

TEST_F(Http1PressureTest, WritableAgainAtTheLowWaterMarkOnly) {
  FakePeer& peer = connect();
  RecordedExchange& exchange = begin_answer(peer);
  ASSERT_TRUE(exchange.send(std::string(600, 'x'), Last::kNo));
  turn();
  ASSERT_TRUE(exchange.send(std::string(600, 'y'), Last::kNo));  // waits behind the first
  EXPECT_FALSE(exchange.exchange().writable());
  peer.take(1000);  // the first has drained, of the second too much is left
  EXPECT_GT(peer.queued(), settings.write_low_water);
  EXPECT_EQ(exchange.writables, 0);
  peer.take(10);
  EXPECT_EQ(exchange.writables, 0);
  peer.take_all();
  EXPECT_EQ(exchange.writables, 1);
  exchange.detach();
}

TEST_F(Http1PressureTest, WritableStaysTrueWhileThePeerTakesAll) {
  FakePeer& peer = connect();
  peer.send(kGet);
  ASSERT_TRUE(handler[0].start(200));
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(handler[0].send(std::string(5000, 'x'), Last::kNo));
    EXPECT_TRUE(handler[0].exchange().writable());
  }
  EXPECT_GE(peer.received().size(), 50'000u);  // without a turn: the mark alone makes it write
  ASSERT_TRUE(handler[0].send("", Last::kYes));
  turn();
  EXPECT_EQ(handler[0].writables, 0);
}

TEST_F(Http1PressureTest, AnswersWhenWritableAgainInsideTheCall) {
  FakePeer& peer = connect();
  RecordedExchange& exchange = begin_answer(peer);
  ASSERT_TRUE(exchange.send(std::string(2000, 'x'), Last::kNo));
  exchange.when_writable = [&] { ASSERT_TRUE(exchange.send("end", Last::kYes)); };
  turn();
  peer.take_all();
  turn();
  EXPECT_EQ(peer.received().substr(peer.received().size() - 13), "3\r\nend\r\n0\r\n\r\n");
}

TEST_F(Http1PressureTest, AFinishedAnswerIsNotToldOfRoom) {
  FakePeer& peer = connect();
  RecordedExchange& exchange = begin_answer(peer);
  ASSERT_TRUE(exchange.send(std::string(2000, 'x'), Last::kNo));
  ASSERT_TRUE(exchange.send("end", Last::kYes));
  turn();
  peer.take_all();
  EXPECT_EQ(exchange.writables, 0);
  peer.send(kGet);
  ASSERT_EQ(handler.size(), 2u);
  EXPECT_TRUE(handler[1].exchange().writable());
  peer.fail("gone");
}

TEST_F(Http1PressureTest, SlicesAreReleasedOnceTheyAreWritten) {
  FakePeer& peer = connect();
  RecordedExchange& exchange = begin_answer(peer);
  Owner large(800);
  Owner small(400);
  ASSERT_TRUE(exchange.send(large.slice(), Last::kNo));
  ASSERT_TRUE(exchange.send(small.slice(), Last::kNo));
  EXPECT_EQ(small.released, 1);  // copied
  turn();
  EXPECT_EQ(large.released, 0);
  peer.take(300);
  EXPECT_EQ(large.released, 0);
  peer.take_all();
  EXPECT_EQ(large.released, 1);
  ASSERT_TRUE(exchange.send("", Last::kYes));
}

TEST_F(Http1PressureTest, SlicesAreReleasedOnceWhenTheConnectionIsCut) {
  FakePeer& peer = connect();
  RecordedExchange& exchange = begin_answer(peer);
  std::vector<std::unique_ptr<Owner>> owners;
  for (int i = 0; i < 5; ++i) {
    owners.push_back(std::make_unique<Owner>(800));
    ASSERT_TRUE(exchange.send(owners.back()->slice(), Last::kNo));
    if (i == 1) turn();  // some are in the stream, some wait behind
  }
  peer.fail("gone");
  EXPECT_EQ(exchange.cuts, 1);
  turn();
  for (auto& owner : owners) EXPECT_EQ(owner->released, 1);
}

TEST_F(Http1PressureTest, SlicesThatAreRefusedAreReleased) {
  FakePeer& peer = connect();
  peer.send(kGet);
  Owner owner(800);
  EXPECT_FALSE(handler[0].send(owner.slice(), Last::kNo));  // before the head
  EXPECT_EQ(owner.released, 1);
  handler[0].detach();
}

TEST_F(Http1PressureTest, ALargeAnswerComesWholeThroughASmallWindow) {
  FakePeer& peer = connect();
  std::string body;
  for (int i = 0; i < 20'000; ++i) body += std::to_string(i) + ",";
  peer.window = 0;
  peer.send(kGet);
  handler[0].answer(body);
  turn();
  for (int i = 0; i < 20'000 && peer.received().size() < ok(body).size(); ++i) peer.take(777);
  EXPECT_TRUE(peer.received() == ok(body));
  EXPECT_EQ(server().connections(), 1u);
}

}  // namespace
}  // namespace fasterapi::connection
