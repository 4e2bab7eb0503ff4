// WebSocket connections over fake streams: the handshake, messages, both closing handshakes, back-pressure
// and every deadline (RFC 6455; reliability S20-S22, C9, C10).
#include "server/connection/websocket_connection.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>

#include "server/testing/connection_fixture.h"
#include "server/testing/recording_websocket.h"

namespace fasterapi::connection {
namespace {

using std::chrono::milliseconds;
using testing::client_frame;
using testing::close_frame;
using testing::FakePeer;
using testing::RecordedExchange;
using testing::RecordedWebSocket;
using testing::server_close;
using testing::server_frame;

constexpr milliseconds kTick{100};  // a deadline may be so much late
constexpr int kContinuation = 0, kText = 1, kPing = 9, kPong = 10;

// RFC 6455 1.3: the example's key and its answer.
std::string handshake(std::string_view more = {}) {
  std::string request =
      "GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
  return request.append(more).append("\r\n");
}

std::string switched(std::string_view more = {}) {
  std::string answer =
      "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
  return answer.append(more).append("upgrade: websocket\r\nconnection: upgrade\r\n\r\n");
}

class WebSocketConnectionTest : public testing::ConnectionFixture {
 protected:
  WebSocketConnectionTest() {
    settings.websocket.ping_interval = milliseconds(0);
    handler.on_request = [this](RecordedExchange& exchange) { accept(exchange); };
  }

  void accept(RecordedExchange& exchange) {
    ASSERT_NE(exchange.exchange().handshake(), nullptr);
    auto opened = exchange.accept(acceptance, app);
    ASSERT_TRUE(opened) << opened.failure().reason;
    if (app.code == 0) app.socket = *opened;
  }

  // An open WebSocket, behind the answer to its handshake.
  FakePeer& open(testing::Feed feed = testing::Feed::kWhole) {
    FakePeer& peer = connect(feed);
    peer.send(handshake());
    turn();
    EXPECT_EQ(peer.take_received(), switched());
    return peer;
  }

  void past(milliseconds timeout) { clock.advance(timeout + kTick); }

  Acceptance acceptance;
  RecordedWebSocket app;
};

// --- The handshake ---------------------------------------------------------------------------

TEST_F(WebSocketConnectionTest, IsOpenedByTheExchangesAnswer) {
  acceptance.subprotocol = "chat";
  const base::Header more[] = {{"x-a", "1"}, {"x-a", "2"}};
  acceptance.headers = more;
  FakePeer& peer = connect();
  peer.send(handshake());
  turn();
  EXPECT_EQ(peer.received(), switched("sec-websocket-protocol: chat\r\nx-a: 1\r\nx-a: 2\r\n"));
  EXPECT_EQ(server().connections(), 1u);
  peer.end();
}

TEST_F(WebSocketConnectionTest, BytesBehindTheHandshakeAreItsFirstFrames) {
  app.echoes = true;
  FakePeer& peer = connect();
  peer.send(handshake() + client_frame(kText, "one") + client_frame(kText, "two").substr(0, 5));
  turn();
  turn();
  EXPECT_EQ(peer.take_received(), switched() + server_frame(kText, "one"));
  peer.send(client_frame(kText, "two").substr(5));
  turn();
  EXPECT_EQ(peer.received(), server_frame(kText, "two"));
  peer.end();
}

TEST_F(WebSocketConnectionTest, TheServersOwnLinesAreNotTheApplicationsToSay) {
  const base::Header forged[] = {{"Sec-WebSocket-Accept", "x"}};
  handler.on_request = [&](RecordedExchange& exchange) {
    EXPECT_FALSE(exchange.accept({{}, forged}, app));
    EXPECT_FALSE(exchange.accept({"not a token", {}}, app));
    const base::Header split[] = {{"x", "a\r\nb: c"}};
    EXPECT_FALSE(exchange.accept({{}, split}, app));
    accept(exchange);
  };
  open();
}

TEST_F(WebSocketConnectionTest, AFaultyHandshakeIsAnsweredWithoutTheApplication) {
  FakePeer& peer = connect();
  std::string request = handshake();
  request.replace(request.find("13"), 2, "12");
  peer.send(request);
  turn();
  EXPECT_EQ(handler.size(), 0u);
  EXPECT_TRUE(peer.received().starts_with("HTTP/1.1 426 "));
  EXPECT_NE(peer.received().find("\r\nsec-websocket-version: 13\r\nupgrade: websocket\r\n"),
            std::string::npos);
  EXPECT_NE(peer.received().find("\r\nconnection: upgrade, close\r\n"), std::string::npos);
}

TEST_F(WebSocketConnectionTest, AnOriginThatIsNotAllowedIsAnswered403) {
  settings.websocket.allowed_origins = {"https://a.example"};
  FakePeer& peer = connect();
  peer.send(handshake("Origin: https://b.example\r\n"));
  turn();
  EXPECT_EQ(peer.received(), error(403, "Forbidden"));
  EXPECT_EQ(handler.size(), 0u);
  FakePeer& other = connect();
  other.send(handshake("Origin: https://a.example\r\n"));
  turn();
  EXPECT_EQ(other.received(), switched());
}

TEST_F(WebSocketConnectionTest, ADeniedHandshakeEndsTheConnection) {
  handler.on_request = [](RecordedExchange& exchange) { exchange.answer("no", 401); };
  FakePeer& peer = connect();
  peer.send(handshake());
  turn();
  EXPECT_EQ(peer.received(), "HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(WebSocketConnectionTest, SwitchedOffARequestForOneIsAnyRequest) {
  settings.websocket_enabled = false;
  handler.on_request = [](RecordedExchange& exchange) {
    EXPECT_EQ(exchange.exchange().handshake(), nullptr);
    exchange.answer("plain");
  };
  FakePeer& peer = connect();
  peer.send(handshake());
  turn();
  EXPECT_EQ(peer.received(), ok("plain"));
}

TEST_F(WebSocketConnectionTest, AgreesOnDeflate) {
  FakePeer& peer = connect();
  peer.send(handshake("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12\r\n"));
  turn();
  EXPECT_NE(peer.take_received().find("sec-websocket-extensions: permessage-deflate"), std::string::npos);
  EXPECT_TRUE(app.socket->statistics().deflates);
  ASSERT_TRUE(app.send(std::string(1000, 'x')));
  turn();
  EXPECT_LT(peer.received().size(), 50u);
  EXPECT_EQ(peer.received()[0] & 0x40, 0x40);  // RSV1
}

// --- Messages --------------------------------------------------------------------------------

TEST_F(WebSocketConnectionTest, EchoesHoweverTheBytesAreCut) {
  for (auto feed : {testing::Feed::kWhole, testing::Feed::kByteByByte}) {
    app = {};
    app.echoes = true;
    FakePeer& peer = open(feed);
    peer.send(client_frame(kText, "Hel", false) + client_frame(kPing, "p") +
              client_frame(kContinuation, "lo") + client_frame(kText, ""));
    turn();
    EXPECT_EQ(peer.received(),
              server_frame(kPong, "p") + server_frame(kText, "Hello") + server_frame(kText, ""));
    EXPECT_EQ(app.messages, (std::vector<std::string>{"Hello", ""}));
    peer.end();
    EXPECT_EQ(app.code, websocket::kAbnormalClosure);
  }
}

TEST_F(WebSocketConnectionTest, WhatEndsItComesATurnBehindTheMessagesBefore) {
  FakePeer& peer = open();
  peer.send(client_frame(kText, "last words") + close_frame(1000));
  EXPECT_EQ(app.code, 0);
  ASSERT_TRUE(app.send("answer"));
  turn();
  EXPECT_EQ(app.code, 1000);
  EXPECT_EQ(peer.received(), server_frame(kText, "answer") + server_close(1000));
}

TEST_F(WebSocketConnectionTest, MessagesThatNobodyTakesStopTheReading) {
  settings.websocket.max_queue = 4;
  app.takes = false;
  FakePeer& peer = open();
  std::string all;
  for (int i = 0; i < 10; ++i) all += client_frame(kText, std::to_string(i));
  peer.send(all);
  turn();
  EXPECT_EQ(app.messages.size(), 4u);
  EXPECT_FALSE(peer.reading());
  app.socket->taken(1);
  turn();
  EXPECT_EQ(app.messages.size(), 5u);
  for (int i = 0; i < 4; ++i) app.socket->taken(1);
  turn();
  EXPECT_EQ(app.messages.size(), 9u);
  app.takes = true;
  for (int i = 0; i < 4; ++i) app.socket->taken(1);
  turn();
  EXPECT_EQ(app.messages.size(), 10u);
  EXPECT_TRUE(peer.reading());
}

TEST_F(WebSocketConnectionTest, SoDoTheirBytes) {
  settings.websocket.queue_high_water = 100;
  app.takes = false;
  FakePeer& peer = open();
  peer.send(client_frame(kText, std::string(100, 'x')));
  EXPECT_FALSE(peer.reading());
  app.socket->taken(100);
  turn();
  EXPECT_TRUE(peer.reading());
}

TEST_F(WebSocketConnectionTest, WorkPerTurnIsBounded) {
  settings.websocket.max_frames_per_turn = 8;
  FakePeer& peer = open();
  std::string all;
  for (int i = 0; i < 20; ++i) all += client_frame(kPing, "");
  peer.send(all);
  EXPECT_EQ(peer.received().size(), 8u * 2);
  turn();
  EXPECT_EQ(peer.received().size(), 16u * 2);
  turn();
  EXPECT_EQ(peer.received().size(), 20u * 2);
  EXPECT_TRUE(peer.reading());
}

TEST_F(WebSocketConnectionTest, PingsWhosePongsNobodyReadsStopTheReading) {
  settings.write_high_water = 1000;
  FakePeer& peer = open();
  peer.window = 0;
  for (int i = 0; i < 100 && peer.reading(); ++i) peer.send(client_frame(kPing, std::string(100, 'p')));
  turn();
  EXPECT_FALSE(peer.reading());
  EXPECT_LT(peer.queued(), 1200u);
  peer.take_all();
  turn();
  EXPECT_TRUE(peer.reading());
}

TEST_F(WebSocketConnectionTest, ASendThatThePeerDoesNotTakeMakesTheApplicationWait) {
  settings.write_high_water = 1000;
  settings.write_low_water = 100;
  FakePeer& peer = open();
  peer.window = 0;
  ASSERT_TRUE(app.send(std::string(999, 'x')));
  EXPECT_FALSE(app.socket->writable());  // with its header
  peer.take_all();
  turn();
  EXPECT_EQ(app.writables, 1);
  EXPECT_TRUE(app.socket->writable());
}

// --- The end ---------------------------------------------------------------------------------

TEST_F(WebSocketConnectionTest, ThePeersCloseIsEchoedAndEndsIt) {
  FakePeer& peer = open();
  peer.send(close_frame(4000, "bye"));
  EXPECT_EQ(app.code, 4000);
  EXPECT_EQ(app.reason, "bye");
  turn();
  EXPECT_EQ(peer.received(), server_close(4000));
  EXPECT_TRUE(peer.shut_down());
  peer.end();
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(WebSocketConnectionTest, ACloseWithoutACodeIs1005) {
  FakePeer& peer = open();
  peer.send(client_frame(8, ""));
  EXPECT_EQ(app.code, websocket::kNoStatus);
  turn();
  EXPECT_EQ(peer.received(), server_frame(8, ""));
}

TEST_F(WebSocketConnectionTest, TheApplicationsCloseWaitsForThePeers) {
  FakePeer& peer = open();
  ASSERT_TRUE(app.send("last"));
  EXPECT_FALSE(app.close(1006, ""));
  EXPECT_FALSE(app.close(1000, std::string(124, 'r')));
  ASSERT_TRUE(app.close(3001, "done"));
  turn();
  EXPECT_EQ(peer.received(), server_frame(kText, "last") + server_close(3001, "done"));
  peer.send(client_frame(kText, "not heard"));
  EXPECT_FALSE(peer.shut_down());
  peer.send(close_frame(3001));
  turn();
  EXPECT_TRUE(peer.shut_down());
  EXPECT_TRUE(app.messages.empty());
  EXPECT_EQ(app.code, 0);
  peer.end();
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(WebSocketConnectionTest, APeerThatDoesNotAnswerACloseIsCut) {
  open();
  ASSERT_TRUE(app.close(1000, ""));
  turn();
  clock.advance(settings.websocket.close_timeout - kTick);
  EXPECT_EQ(server().connections(), 1u);
  past(2 * kTick);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(WebSocketConnectionTest, ThePeersCloseIsReadBehindMessagesThatNobodyTook) {
  settings.websocket.max_queue = 4;
  app.takes = false;
  std::string all;
  for (int i = 0; i < 10; ++i) all += client_frame(kText, "x");
  all += close_frame(1000);
  for (bool by_application : {true, false}) {
    FakePeer& peer = open();
    peer.send(all);
    turn();
    if (by_application) {
      ASSERT_TRUE(app.close(1000, ""));
    } else {
      server().drain();
    }
    for (int i = 0; i < 4; ++i) turn();
    EXPECT_TRUE(peer.shut_down()) << by_application;
    peer.end();
  }
}

TEST_F(WebSocketConnectionTest, APeersFaultIsAnsweredAndTheRestSwallowed) {
  FakePeer& peer = open();
  peer.send("\x81\x01x");  // RFC 6455 5.1: not masked
  EXPECT_EQ(app.code, websocket::kProtocolError);
  turn();
  EXPECT_TRUE(peer.received().starts_with("\x88"));
  EXPECT_EQ(peer.received().substr(2, 2), "\x03\xea");  // 1002
  EXPECT_TRUE(peer.shut_down());
  peer.send(std::string(settings.max_discarded_body + 1, 'x'));
  EXPECT_FALSE(peer.reading());
  past(settings.linger_timeout);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(WebSocketConnectionTest, AConnectionThatIsLostIs1006) {
  FakePeer& peer = open();
  peer.fail("reset");
  EXPECT_EQ(app.code, websocket::kAbnormalClosure);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(WebSocketConnectionTest, AServerThatStopsSaysSo) {
  FakePeer& peer = open();
  server().drain();
  EXPECT_EQ(app.code, websocket::kGoingAway);
  turn();
  EXPECT_EQ(peer.received(), server_close(1001));
  past(settings.websocket.close_timeout);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(WebSocketConnectionTest, AndOneThatIsReplacedThatItRestarts) {
  FakePeer& peer = open();
  server().retire();
  EXPECT_EQ(app.code, websocket::kServiceRestart);
  turn();
  EXPECT_EQ(peer.received(), server_close(1012));
}

// --- Time ------------------------------------------------------------------------------------

TEST_F(WebSocketConnectionTest, APeerThatAnswersNoPingIsCut) {
  settings.websocket.ping_interval = milliseconds(20'000);
  FakePeer& peer = open();
  past(settings.websocket.ping_interval);
  EXPECT_EQ(peer.take_received(), server_frame(kPing, "1"));
  clock.advance(settings.websocket.ping_timeout - 2 * kTick);
  EXPECT_EQ(app.code, 0);
  past(3 * kTick);
  EXPECT_EQ(app.code, websocket::kAbnormalClosure);
  EXPECT_EQ(peer.received(), server_close(1011, "keepalive ping timeout"));
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(WebSocketConnectionTest, APongKeepsItAliveAndTellsTheLatency) {
  settings.websocket.ping_interval = milliseconds(20'000);
  FakePeer& peer = open();
  for (int i = 1; i <= 3; ++i) {
    past(settings.websocket.ping_interval);
    EXPECT_EQ(peer.take_received(), server_frame(kPing, std::to_string(i)));
    clock.advance(milliseconds(300));
    peer.send(client_frame(kPong, "unasked"));
    peer.send(client_frame(kPong, std::to_string(i)));
    EXPECT_GE(app.socket->statistics().latency->count(), 300);
  }
  EXPECT_EQ(app.code, 0);
  EXPECT_EQ(app.pongs, (std::vector<std::string>{"unasked", "unasked", "unasked"}));
}

TEST_F(WebSocketConnectionTest, APongThatCannotBeReadIsNotMissed) {
  settings.websocket.ping_interval = milliseconds(20'000);
  settings.websocket.max_queue = 1;
  app.takes = false;
  FakePeer& peer = open();
  peer.send(client_frame(kText, "the application is busy"));
  past(settings.websocket.ping_interval);
  peer.send(client_frame(kPong, "1"));
  past(3 * settings.websocket.ping_timeout);
  EXPECT_EQ(app.code, 0);
}

TEST_F(WebSocketConnectionTest, APeerThatTakesNothingIsCut) {
  FakePeer& peer = open();
  peer.window = 0;
  ASSERT_TRUE(app.send("x"));
  turn();
  clock.advance(settings.write_timeout - kTick);
  EXPECT_EQ(app.code, 0);
  past(2 * kTick);
  EXPECT_EQ(app.code, websocket::kAbnormalClosure);
  EXPECT_TRUE(peer.was_reset());
}

}  // namespace
}  // namespace fasterapi::connection
