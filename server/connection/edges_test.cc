// Rare moments in the life of a connection, each of which once went wrong.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
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

std::string post(std::size_t length, std::string_view version = "1.1", std::string_view more = "") {
  return "POST /p HTTP/" + std::string(version) + "\r\nHost: h\r\nContent-Length: " + std::to_string(length) +
         "\r\n" + std::string(more) + "\r\n";
}

class ConnectionEdge : public testing::ConnectionFixture {};

// FIN behind a pipelined request that is not whole.
TEST_F(ConnectionEdge, EndBehindAPipelinedHalfRequest) {
  FakePeer& peer = connect();
  peer.send(std::string(kGet) + post(10) + "abc");
  peer.end();
  handler[0].answer("one");
  turn();
  EXPECT_EQ(peer.received(), ok("one"));
  EXPECT_EQ(server().connections(), 0u);
}

// a whole pipelined request that begins after the FIN is not told of the disconnect.
TEST_F(ConnectionEdge, EndBeforeAPipelinedRequestBegins) {
  FakePeer& peer = connect();
  peer.send(std::string(kGet) + std::string(kGetB));
  peer.end();
  handler[0].answer("one");
  turn();
  ASSERT_EQ(handler.size(), 2u);
  EXPECT_EQ(handler[1].disconnects, 1);
  handler[1].answer("two");
  turn();
}

// HTTP/1.0, close-delimited: every end in the middle of the body must be a reset.
TEST_F(ConnectionEdge, AbortInTheMiddleOfACloseDelimitedAnswer) {
  FakePeer& peer = connect();
  peer.send("GET / HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(handler[0].start(200));
  ASSERT_TRUE(handler[0].send("part", Last::kNo));
  turn();
  server().abort();
  turn();
  EXPECT_TRUE(peer.was_reset());
}
TEST_F(ConnectionEdge, PeersEndInTheMiddleOfACloseDelimitedAnswer) {
  FakePeer& peer = connect();
  peer.send(post(10, "1.0") + "abc");
  ASSERT_TRUE(handler[0].start(200));
  ASSERT_TRUE(handler[0].send("part", Last::kNo));
  turn();
  peer.end();
  turn();
  EXPECT_TRUE(peer.was_reset());
}
TEST_F(ConnectionEdge, Clock_BodyDeadlineInTheMiddleOfACloseDelimitedAnswer) {
  FakePeer& peer = connect();
  peer.send(post(10, "1.0") + "abc");
  ASSERT_TRUE(handler[0].start(200));
  ASSERT_TRUE(handler[0].send("part", Last::kNo));
  turn();
  clock.advance(settings.body_timeout + milliseconds(200));
  turn();
  EXPECT_TRUE(peer.was_reset());
}

// a whole early answer that is still queued is lost when the peer, which saw it begin, ends.
TEST_F(ConnectionEdge, EarlyAnswerIsSentWholeThoughThePeerEndsItsBody) {
  FakePeer& peer = connect();
  peer.window = 10;
  peer.send(post(1000) + "abc");
  handler[0].answer("too large, and here is why");
  turn();
  peer.end();
  turn();
  peer.take_all();
  EXPECT_EQ(peer.received(), ok("too large, and here is why"));
  turn();
  EXPECT_TRUE(peer.closed());
}

// drain() while lingering cuts the linger short (the answer may be lost to a reset).
TEST_F(ConnectionEdge, DrainWhileLingering) {
  FakePeer& peer = connect();
  peer.send("@");
  EXPECT_TRUE(peer.shut_down());
  server().drain();
  EXPECT_EQ(server().connections(), 1u);
  peer.end();
  turn();
}

// abort() from inside on_cut never returns: the connection is in the list and has ended_.
TEST_F(ConnectionEdge, AbortInsideOnCut) {
  EXPECT_EXIT(
      {
        alarm(2);
        FakePeer& peer = connect();
        peer.send(kGet);
        handler[0].when_cut = [&] { server().abort(); };
        peer.fail("gone");
        _exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}

// releasing a slice inside bury() ends another connection: ended_ changes under its own clear().
TEST_F(ConnectionEdge, AnEndInsideBury) {
  struct Ender {
    Server& server;
  } ender{server()};
  FakePeer& peer = connect();
  FakePeer& other = connect();
  other.send(kGetB);
  peer.window = 0;
  peer.send(kGet);
  static std::string bytes(100'000, 's');
  RecordedExchange& exchange = handler.last();
  ASSERT_TRUE(exchange.start(200));
  turn();  // the head is in the stream, so that the slice waits in the codec
  ASSERT_TRUE(exchange.send(
      base::Slice(bytes, &ender, [](void* self) { static_cast<Ender*>(self)->server.abort(); }), Last::kNo));
  turn();
  peer.fail("gone");
  turn();
  turn();
  EXPECT_TRUE(peer.closed());
  EXPECT_TRUE(other.closed());
  EXPECT_EQ(ledger.count(base::Kind::kConnection), 0u);
}

// the body's deadline runs although the client rightly waits for "100 Continue".
TEST_F(ConnectionEdge, Clock_ExpectedContinueThatIsNotYetWanted) {
  FakePeer& peer = connect();
  peer.send(post(10, "1.1", "Expect: 100-continue\r\n"));
  clock.advance(2 * settings.body_timeout);
  EXPECT_EQ(handler[0].cuts, 0);
  EXPECT_EQ(peer.received(), "");
}

// steady progress of a reader is not seen when the application adds as much as it takes.
TEST_F(ConnectionEdge, Clock_AWriteWithProgressIsNotAStall) {
  FakePeer& peer = connect();
  peer.window = 10;
  peer.send(kGet);
  ASSERT_TRUE(handler[0].start(200));
  ASSERT_TRUE(handler[0].send(std::string(30'000, 'x'), Last::kNo));
  turn();
  for (int i = 0; i < 200 && !peer.was_reset(); ++i) {
    peer.take(100);
    ASSERT_TRUE(handler[0].send(std::string(100, 'y'), Last::kNo));
    turn();
    clock.advance(milliseconds(1000));
  }
  EXPECT_FALSE(peer.was_reset());
}

// a line of more than PIPE_BUF blocks the loop on a nearly full blocking pipe.
TEST_F(ConnectionEdge, ALongLineToAStuckBlockingPipe) {
  EXPECT_EXIT(
      {
        alarm(2);
        int fds[2];
        if (pipe(fds) != 0) _exit(2);
        std::string fill(65536 - 4096, 'x');
        if (write(fds[1], fill.data(), fill.size()) < 0) _exit(3);
        AccessLog log_(loop, fds[1], "");
        std::string target(8000, 't');
        base::RequestHead head;
        head.method = "GET";
        head.target = target;
        log_.record({}, head, 200);
        turn();
        _exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}

// exchange.attach() after an abort inside on_exchange: nobody will cut it.
// (Handlers attach first, so this is only a sharp edge of the interface.)

}  // namespace
}  // namespace fasterapi::connection
