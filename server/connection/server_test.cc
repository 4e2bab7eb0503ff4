// The server's lists: connections come, end in any order and are destroyed at the end of the turn.
#include "server/connection/server.h"

#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "server/testing/connection_fixture.h"
#include "server/testing/socket_peer.h"

namespace fasterapi::connection {
namespace {

using base::Last;
using testing::Endpoint;
using testing::FakePeer;
using testing::RecordedExchange;
using testing::SocketPeer;

class ServerTest : public testing::ConnectionFixture {
 protected:
  static void SetUpTestSuite() { std::signal(SIGPIPE, SIG_IGN); }
};

TEST_F(ServerTest, ConnectionsEndInAnyOrder) {
  std::vector<FakePeer*> peers;
  for (int i = 0; i < 6; ++i) peers.push_back(&connect());
  std::size_t left = peers.size();
  for (std::size_t i : {2, 5, 0, 4, 1, 3}) {
    peers[i]->end();
    EXPECT_EQ(server().connections(), --left);
    EXPECT_FALSE(peers[i]->closed());  // its caller is still below us
    turn();
    EXPECT_TRUE(peers[i]->closed());
    EXPECT_EQ(ledger.count(base::Kind::kConnection), left);
  }
  EXPECT_EQ(changes, 6);
}

TEST_F(ServerTest, SeveralEndsInOneTurnAreOneChange) {
  for (int i = 0; i < 3; ++i) connect().end();
  turn();
  EXPECT_EQ(changes, 1);
  EXPECT_EQ(ledger.count(base::Kind::kConnection), 0u);
}

TEST_F(ServerTest, DrainAmongBusyAndIdle) {
  std::vector<FakePeer*> peers;
  for (int i = 0; i < 7; ++i) peers.push_back(&connect());
  for (std::size_t i : {1, 2, 5}) peers[i]->send(kGet);
  server().drain();
  EXPECT_EQ(server().connections(), 3u);
  server().drain();
  EXPECT_EQ(server().connections(), 3u);
  for (std::size_t i = 0; i < handler.size(); ++i) handler[i].answer("x");
  turn();
  EXPECT_EQ(server().connections(), 0u);
  for (std::size_t i : {1, 2, 5}) EXPECT_EQ(peers[i]->received(), ok_and_close("x"));
}

TEST_F(ServerTest, CountsRequestsOfAllConnections) {
  handler.on_request = [](RecordedExchange& exchange) { exchange.answer("x"); };
  for (int i = 0; i < 3; ++i) connect().send(std::string(kGet) + std::string(kGet));
  EXPECT_EQ(server().total_requests(), 6u);
}

TEST_F(ServerTest, EndsWithConnectionsInEveryState) {
  settings.body_high_water = 10;
  connect();
  connect().send("GET / HT");
  connect().send(kGet);
  FakePeer& writing = connect();
  writing.window = 10;
  writing.send(kGet);
  ASSERT_TRUE(handler.last().start(200));
  ASSERT_TRUE(handler.last().send(std::string(100'000, 'x'), Last::kNo));
  FakePeer& full = connect();
  handler.on_request = [](RecordedExchange& exchange) { exchange.takes_body = false; };
  full.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + std::string(100, 'b'));
  connect().send("@\r\n");
  turn();
  handler[0].answer("unsent");  // noted, and its consequences not yet drawn
}

TEST_F(ServerTest, DefaultHeadersAreTheServersOwn) {
  settings.date_header = true;
  settings.server = "fasterapi";
  handler.on_request = [](RecordedExchange& exchange) { exchange.answer("x"); };
  FakePeer& peer = connect();
  peer.send(kGet);
  std::string date(server().date());
  EXPECT_NE(peer.received().find("\r\ndate: "), std::string::npos);
  EXPECT_NE(peer.received().find("\r\nserver: fasterapi\r\n"), std::string::npos);
  EXPECT_EQ(date.size(), 29u);
}

TEST_F(ServerTest, HeadersForEveryResponse) {
  settings.date_header = true;
  settings.date = "a fixed day";
  settings.server = "other";
  settings.extra_headers = "x-a: 1\r\nx-a: 2\r\n";
  handler.on_request = [](RecordedExchange& exchange) { exchange.answer("x"); };
  FakePeer& peer = connect();
  peer.send(kGet);
  const std::string head = "date: a fixed day\r\nserver: other\r\nx-a: 1\r\nx-a: 2\r\n";
  EXPECT_TRUE(peer.received().starts_with("HTTP/1.1 200 OK\r\n" + head)) << peer.received();
  FakePeer& bad = connect();
  bad.send("@\r\n\r\n");
  EXPECT_TRUE(bad.received().starts_with("HTTP/1.1 400 Bad Request\r\n" + head)) << bad.received();
}

// --- Over real sockets -----------------------------------------------------------------------

TEST_F(ServerTest, ServesAListener) {
  Endpoint endpoint = Endpoint::loopback();
  handler.on_request = [](RecordedExchange& exchange) { exchange.answer(exchange.target); };
  ASSERT_TRUE(server().listen(endpoint.take_fd(), 16));
  SocketPeer peer(endpoint);
  ASSERT_TRUE(until([&] { return server().connections() == 1; }));
  peer.send(kGet);
  EXPECT_TRUE(until([&] { return peer.receive(); }));
  EXPECT_EQ(peer.received, ok("/a"));
  EXPECT_EQ(handler[0].target, "/a");
  peer.close();
  EXPECT_TRUE(until([&] { return server().connections() == 0; }));
  turn();
  EXPECT_EQ(ledger.count(base::Kind::kStream), 0u);
}

TEST_F(ServerTest, StopsListeningAndServesOn) {
  Endpoint endpoint = Endpoint::loopback();
  Endpoint other = Endpoint::loopback();
  ASSERT_TRUE(server().listen(endpoint.take_fd(), 16));
  ASSERT_TRUE(server().listen(other.take_fd(), 16));
  SocketPeer peer(endpoint);
  SocketPeer second(other);
  ASSERT_TRUE(until([&] { return server().connections() == 2; }));
  server().stop_listening();
  EXPECT_EQ(ledger.count(base::Kind::kListener), 0u);
  peer.send(kGet);
  ASSERT_TRUE(until([&] { return handler.size() == 1; }));
  server().drain();
  EXPECT_EQ(server().connections(), 1u);
  handler[0].answer("last");
  EXPECT_TRUE(until([&] {
    peer.receive();
    return peer.ended;
  }));
  EXPECT_EQ(peer.received, ok_and_close("last"));
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(ServerTest, ALargeAnswerToASlowReader) {
  Endpoint endpoint = Endpoint::loopback();
  std::string body(8 << 20, 'L');
  handler.on_request = [&](RecordedExchange& exchange) { exchange.answer(body); };
  ASSERT_TRUE(server().listen(endpoint.take_fd(), 16));
  SocketPeer peer(endpoint, 4096);
  peer.send("GET /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(until([&] {
    peer.receive();
    return peer.ended;
  }));
  EXPECT_EQ(peer.error, 0);
  EXPECT_TRUE(peer.received == ok_and_close(body));
  turn();
  EXPECT_EQ(ledger.count(base::Kind::kStream), 0u);
}

TEST_F(ServerTest, AnApplicationThatWaitsForRoomGoesOn) {
  Endpoint endpoint = Endpoint::loopback();
  const std::string piece(100'000, 'p');
  int pieces = 0;
  handler.on_request = [&](RecordedExchange& exchange) {
    ASSERT_TRUE(exchange.start(200, {{"content-length", std::to_string(200 * piece.size())}}));
    exchange.when_writable = [&] {
      while (pieces < 200 && exchange.alive() && exchange.exchange().writable()) {
        ++pieces;
        ASSERT_TRUE(exchange.send(std::string_view(piece), pieces == 200 ? Last::kYes : Last::kNo));
      }
    };
    exchange.when_writable();
  };
  ASSERT_TRUE(server().listen(endpoint.take_fd(), 16));
  SocketPeer peer(endpoint);
  peer.send(kGet);
  EXPECT_TRUE(until([&] { return handler.size() == 1; }));
  for (int i = 0; i < 50; ++i) turn();
  EXPECT_LT(pieces, 200);  // nobody reads: the application waits
  EXPECT_TRUE(until([&] {
    peer.receive();
    return peer.received.size() > 200 * piece.size() && pieces == 200;
  }));
  EXPECT_EQ(peer.received.substr(peer.received.find("\r\n\r\n") + 4).size(), 200 * piece.size());
  EXPECT_GT(handler[0].writables, 0);
}

TEST_F(ServerTest, APeersResetCutsTheRequest) {
  Endpoint endpoint = Endpoint::loopback();
  ASSERT_TRUE(server().listen(endpoint.take_fd(), 16));
  SocketPeer peer(endpoint);
  peer.send(kGet);
  ASSERT_TRUE(until([&] { return handler.size() == 1; }));
  peer.reset();
  EXPECT_TRUE(until([&] { return handler[0].cuts == 1; }));
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(ServerTest, AnAnswerThatIsNotWholeEndsInAReset) {
  Endpoint endpoint = Endpoint::loopback();
  ASSERT_TRUE(server().listen(endpoint.take_fd(), 16));
  SocketPeer peer(endpoint);
  peer.send("GET /a HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(until([&] { return handler.size() == 1; }));
  ASSERT_TRUE(handler[0].start(200));
  ASSERT_TRUE(handler[0].send("part", Last::kNo));
  EXPECT_TRUE(until([&] { return peer.receive(); }));
  handler[0].detach();
  EXPECT_TRUE(until([&] {
    peer.receive();
    return peer.error != 0 || peer.ended;
  }));
  EXPECT_EQ(peer.error, ECONNRESET);
}

TEST_F(ServerTest, AListenerThatFailsIsAFailure) {
  base::Result<void> result = server().listen(::open("/dev/null", O_RDWR), 16);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.failure().status, ENOTSOCK);
}

}  // namespace
}  // namespace fasterapi::connection
