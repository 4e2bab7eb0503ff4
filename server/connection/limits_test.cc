// What the server answers in the application's place: 413 and 503, and connections that wait.
#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "server/connection/http1_connection.h"
#include "server/testing/connection_fixture.h"
#include "server/testing/socket_peer.h"

namespace fasterapi::connection {
namespace {

using base::Last;
using testing::Endpoint;
using testing::FakePeer;
using testing::Feed;
using testing::RecordedExchange;
using testing::SocketPeer;

constexpr std::string_view kChunked = "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string post(std::size_t length, std::string_view more = "") {
  return "POST /p HTTP/1.1\r\nHost: h\r\n" + std::string(more) + "Content-Length: " + std::to_string(length) +
         "\r\n\r\n";
}

class Limits : public testing::ConnectionFixture, public ::testing::WithParamInterface<Feed> {
 protected:
  Limits() { settings.max_body = 10; }

  std::string too_large() { return error(413, "Content Too Large"); }
};

INSTANTIATE_TEST_SUITE_P(Fed, Limits, ::testing::Values(Feed::kWhole, Feed::kByteByByte),
                         [](const auto& one) { return one.param == Feed::kWhole ? "Whole" : "ByteByByte"; });

TEST_P(Limits, ABodyOfJustTheLimitIsTaken) {
  FakePeer& peer = connect(GetParam());
  peer.send(post(10) + std::string(10, 'b'));
  EXPECT_EQ(handler[0].body, std::string(10, 'b'));
  EXPECT_TRUE(handler[0].ended);
  handler[0].answer("x");
  peer.send(std::string(kChunked) + "5\r\nbbbbb\r\n5\r\nbbbbb\r\n0\r\n\r\n");
  EXPECT_TRUE(handler[1].ended);
  handler[1].answer("y");
  turn();
  EXPECT_EQ(peer.received(), ok("x") + ok("y"));
}

// RFC 9110 15.5.14
TEST_P(Limits, AnAnnouncedBodyBeyondItIsAnsweredBeforeTheApplicationIsCalled) {
  FakePeer& peer = connect(GetParam());
  peer.send(post(11));
  EXPECT_EQ(peer.received(), too_large());
  EXPECT_TRUE(peer.shut_down());
  peer.send(std::string(11, 'b'));
  EXPECT_EQ(peer.unread(), 0u);
  EXPECT_EQ(handler.size(), 0u);
  EXPECT_EQ(server().total_requests(), 0u);
  peer.end();
  turn();
  EXPECT_TRUE(peer.closed());
}

// RFC 9110 10.1.1: the final answer in the place of "100 Continue".
TEST_P(Limits, AnExpectedContinueIsNotSent) {
  FakePeer& peer = connect(GetParam());
  peer.send(post(11, "Expect: 100-continue\r\n"));
  EXPECT_EQ(peer.received(), too_large());
  EXPECT_TRUE(peer.shut_down());
}

TEST_P(Limits, AChunkedBodyBeyondItIsAnsweredAndTheApplicationCut) {
  FakePeer& peer = connect(GetParam());
  peer.send(std::string(kChunked) + "6\r\nbbbbbb\r\n");
  EXPECT_EQ(handler[0].cuts, 0);
  peer.send("6\r\nbbbbbb\r\n0\r\n\r\n");
  EXPECT_EQ(handler[0].cuts, 1);
  EXPECT_LE(handler[0].body.size(), 10u);
  EXPECT_FALSE(handler[0].ended);
  EXPECT_EQ(peer.received(), too_large());
  turn();
  EXPECT_TRUE(peer.shut_down() || peer.closed());
}

TEST_P(Limits, AChunkedBodyBeyondItCutsAnAnswerThatHasBegun) {
  FakePeer& peer = connect(GetParam());
  peer.send(std::string(kChunked) + "6\r\nbbbbbb\r\n");
  ASSERT_TRUE(handler[0].start(200));
  ASSERT_TRUE(handler[0].send("part", Last::kNo));
  turn();
  std::string begun = peer.received();
  peer.send("6\r\nbbbbbb\r\n");
  EXPECT_EQ(handler[0].cuts, 1);
  EXPECT_EQ(peer.received(), begun);
  turn();
  EXPECT_TRUE(peer.closed());
}

TEST_P(Limits, EachBodyHasItsOwnAllowance) {
  handler.on_request = [](RecordedExchange& exchange) { exchange.answer(exchange.target); };
  FakePeer& peer = connect(GetParam());
  for (int i = 0; i < 5; ++i)
    peer.send(post(6) + "bbbbbb" + std::string(kChunked) + "6\r\nbbbbbb\r\n0\r\n\r\n");
  EXPECT_EQ(handler.size(), 10u);
  EXPECT_EQ(server().connections(), 1u);
}

TEST_P(Limits, TheAnswerWaitsForThoseBeforeIt) {
  FakePeer& peer = connect(GetParam());
  peer.send(std::string(kGet) + post(11));
  EXPECT_EQ(peer.received(), "");
  handler[0].answer("x");
  turn();
  EXPECT_EQ(peer.received(), ok("x") + too_large());
  EXPECT_EQ(handler.size(), 1u);
}

// --- Concurrency -----------------------------------------------------------------------------

class Concurrency : public testing::ConnectionFixture {
 protected:
  std::string unavailable() { return error(503, "Service Unavailable"); }
};

// As uvicorn counts: the connection that asks is one of them.
TEST_F(Concurrency, ConnectionsAtTheLimitAreAnswered503) {
  settings.max_concurrency = 2;
  handler.on_request = [](RecordedExchange& exchange) { exchange.answer("x"); };
  FakePeer& first = connect();
  first.send(kGet);
  EXPECT_EQ(first.take_received(), ok("x"));
  FakePeer& second = connect();
  second.send(kGet);
  EXPECT_EQ(second.received(), unavailable());
  EXPECT_EQ(logged.back(), "Exceeded concurrency limit.");
  turn();
  EXPECT_TRUE(second.closed());
  first.send(kGet);
  EXPECT_EQ(first.received(), ok("x"));
  EXPECT_EQ(handler.size(), 2u);
}

TEST_F(Concurrency, RequestsInHandAtTheLimitAreAnswered503) {
  settings.max_concurrency = 3;
  handler.on_request = [](RecordedExchange& exchange) { exchange.answer("x"); };
  handler.busy = 2;
  FakePeer& peer = connect();
  peer.send(kGet);
  EXPECT_EQ(peer.take_received(), ok("x"));
  handler.busy = 3;
  peer.send(kGet);
  EXPECT_EQ(peer.received(), unavailable());
}

TEST_F(Concurrency, ABodyThatIsRefusedWithItsRequestIsSwallowed) {
  settings.max_concurrency = 1;
  FakePeer& peer = connect();
  peer.send(post(100'000) + "some");
  EXPECT_EQ(peer.received(), unavailable());
  peer.send(std::string(99'996, 'b'));
  EXPECT_EQ(peer.unread(), 0u);
  EXPECT_FALSE(peer.closed());
  EXPECT_EQ(handler.size(), 0u);
}

// --- Connections -----------------------------------------------------------------------------

class Connections : public testing::ConnectionFixture {
 protected:
  static void SetUpTestSuite() { std::signal(SIGPIPE, SIG_IGN); }

  void settle() {
    for (int i = 0; i < 50; ++i) turn();
  }
};

TEST_F(Connections, BeyondTheLimitTheyWaitAndAreServedInTime) {
  settings.max_connections = 2;
  handler.on_request = [](RecordedExchange& exchange) { exchange.answer(exchange.target); };
  Endpoint endpoint = Endpoint::loopback();
  ASSERT_TRUE(server().listen(endpoint.take_fd(), 16));
  std::vector<std::unique_ptr<SocketPeer>> peers;
  for (int i = 0; i < 5; ++i) peers.push_back(std::make_unique<SocketPeer>(endpoint));
  ASSERT_TRUE(until([&] { return server().connections() == 2; }));
  settle();
  EXPECT_EQ(server().connections(), 2u);
  EXPECT_EQ(logged.size(), 1u);
  EXPECT_EQ(logged.back(), "New connections wait: the limit of 2 is reached, with 2 connections open");
  peers[0]->close();
  peers[2]->send(kGet);
  EXPECT_TRUE(until([&] { return peers[2]->receive(); }));
  EXPECT_EQ(server().connections(), 2u);
  peers[1]->close();
  peers[2]->close();
  for (int i : {3, 4}) {
    peers[i]->send(kGet);
    EXPECT_TRUE(until([&] { return peers[i]->receive(); })) << i;
  }
  EXPECT_EQ(logged.size(), 1u);  // not for each
}

TEST_F(Connections, TheLimitIsThatOfAllListeners) {
  settings.max_connections = 1;
  Endpoint first = Endpoint::loopback();
  ASSERT_TRUE(server().listen(first.take_fd(), 16));
  SocketPeer one(first);
  ASSERT_TRUE(until([&] { return server().connections() == 1; }));
  Endpoint second = Endpoint::loopback();
  ASSERT_TRUE(server().listen(second.take_fd(), 16));
  SocketPeer two(second);
  settle();
  EXPECT_EQ(server().connections(), 1u);
  one.close();
  two.send(kGet);
  EXPECT_TRUE(until([&] { return handler.size() == 1; }));
  handler[0].answer("x");
}

}  // namespace
}  // namespace fasterapi::connection
