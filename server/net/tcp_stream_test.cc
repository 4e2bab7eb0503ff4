#include "server/net/tcp_stream.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <string>
#include <vector>

#include "server/testing/stream_fixture.h"

namespace fasterapi::net {
namespace {

using TcpStreamTest = StreamFixture;

// Bytes that say how often they were released.
struct Owner {
  explicit Owner(std::size_t size, char fill) : bytes(size, fill) {}
  base::Slice slice() {
    return {bytes, this, [](void* self) { ++static_cast<Owner*>(self)->released; }};
  }
  std::string bytes;
  int released = 0;
};

TEST_F(TcpStreamTest, KnowsItsAddresses) {
  auto peer = connect();
  Address remote = stream->peer_address();
  EXPECT_EQ(remote.family, Address::Family::kInet);
  EXPECT_EQ(remote.host, "127.0.0.1");
  EXPECT_EQ(remote.port, peer->port());
  Address local = stream->local_address();
  EXPECT_EQ(local.family, Address::Family::kInet);
  EXPECT_EQ(local.host, "127.0.0.1");
  EXPECT_EQ(local.port, ntohs(reinterpret_cast<const sockaddr_in*>(endpoint.name())->sin_port));
}

TEST_F(TcpStreamTest, KnowsItsIpv6Addresses) {
  Endpoint v6 = Endpoint::loopback(AF_INET6);
  if (!v6.bound()) GTEST_SKIP() << "no IPv6 here";
  listen(v6);
  SocketPeer peer(v6);
  ASSERT_TRUE(until([&] { return stream != nullptr; }));
  EXPECT_EQ(stream->peer_address().host, "::1");
  EXPECT_EQ(stream->peer_address().port, peer.port());
  EXPECT_EQ(stream->local_address().host, "::1");
}

TEST_F(TcpStreamTest, ServesAUnixSocket) {
  std::string path = ::testing::TempDir() + "fasterapi-" + std::to_string(::getpid()) + ".sock";
  Endpoint unix_endpoint = Endpoint::path(path);
  ASSERT_TRUE(unix_endpoint.bound());
  listen(unix_endpoint);
  SocketPeer peer(unix_endpoint);
  ASSERT_TRUE(until([&] { return stream != nullptr; }));
  EXPECT_EQ(stream->peer_address().family, Address::Family::kNone);
  EXPECT_EQ(stream->local_address().family, Address::Family::kUnix);
  EXPECT_EQ(stream->local_address().host, path);
  peer.send("ping");
  EXPECT_TRUE(until([&] { return sink.received == "ping"; }));
  write("pong");
  EXPECT_TRUE(until([&] { return peer.receive() && peer.received == "pong"; }));
  stream->reset();  // a Unix socket has no RST
  EXPECT_TRUE(until([&] { return !peer.receive() && peer.ended; }));
  ::unlink(path.c_str());
}

TEST_F(TcpStreamTest, Echoes) {
  auto peer = connect();
  sink.when_bytes = [&](std::string_view bytes) { write(bytes); };
  std::string sent(100'000, 'e');
  std::size_t at = 0;
  EXPECT_TRUE(until([&] {
    at += peer->send(std::string_view(sent).substr(at));
    peer->receive();
    return peer->received.size() == sent.size();
  }));
  EXPECT_EQ(peer->received, sent);
  EXPECT_EQ(sink.ends + sink.closes, 0);
}

TEST_F(TcpStreamTest, ReadsOnlyWhileItShall) {
  auto peer = connect();
  stream->read_stop();
  stream->read_stop();
  peer->send("held");
  peer->shutdown();
  settle();
  EXPECT_EQ(sink.received, "");
  EXPECT_EQ(sink.ends, 0);
  stream->read_start();
  stream->read_start();
  EXPECT_TRUE(until([&] { return sink.ends == 1; }));
  EXPECT_EQ(sink.received, "held");
}

TEST_F(TcpStreamTest, ReadStopInsideACallHoldsTheRest) {
  auto peer = connect();
  std::string sent(1 << 20, 'r');
  sink.when_bytes = [&](std::string_view) { stream->read_stop(); };
  std::size_t at = peer->send(sent);
  ASSERT_GT(at, 64u * 1024);
  EXPECT_TRUE(until([&] { return !sink.received.empty(); }));
  settle();
  EXPECT_LE(sink.received.size(), 64u * 1024);
  sink.when_bytes = nullptr;
  stream->read_start();
  EXPECT_TRUE(until([&] { return sink.received.size() == at; }));
}

TEST_F(TcpStreamTest, AHalfClosedPeerStillReads) {
  auto peer = connect();
  peer->send("last");
  peer->shutdown();
  ASSERT_TRUE(until([&] { return sink.ends == 1; }));
  EXPECT_EQ(sink.received, "last");
  settle();
  EXPECT_EQ(sink.ends, 1);
  EXPECT_EQ(sink.closes, 0);
  write("answer");
  stream->shutdown();
  EXPECT_TRUE(until([&] {
    peer->receive();
    return peer->ended;
  }));
  EXPECT_EQ(peer->received, "answer");
}

TEST_F(TcpStreamTest, WritesWhatTheKernelTakesAtOnce) {
  auto peer = connect();
  write("at once");
  EXPECT_EQ(stream->queued(), 0u);
  EXPECT_TRUE(until([&] { return peer->receive(); }));
  EXPECT_EQ(peer->received, "at once");
  settle();
  EXPECT_EQ(sink.drains, 0);
}

// More slices than one sendmsg takes, more bytes than the kernel does.
TEST_F(TcpStreamTest, WritesALotInOrderAndReleasesEachSliceOnce) {
  auto peer = connect();
  std::vector<std::unique_ptr<Owner>> owners;
  std::string all;
  base::Output output;
  for (int i = 0; i < 300; ++i) {
    owners.push_back(std::make_unique<Owner>(64 * 1024, static_cast<char>('a' + i % 26)));
    output.append("<" + std::to_string(i) + ">");
    output.append(owners.back()->slice());
    all.append("<" + std::to_string(i) + ">").append(owners.back()->bytes);
  }
  stream->flush(output);
  EXPECT_TRUE(output.empty());
  std::size_t queued = stream->queued();
  EXPECT_GT(queued, 0u);
  EXPECT_LE(queued, all.size());
  EXPECT_EQ(owners.back()->released, 0);
  EXPECT_EQ(sink.drains, 0);
  bool grew = false;
  EXPECT_TRUE(until([&] {
    peer->receive();
    grew |= stream->queued() > queued;
    queued = stream->queued();
    return sink.drains > 0;
  }));
  EXPECT_FALSE(grew);
  EXPECT_EQ(stream->queued(), 0u);
  EXPECT_TRUE(until([&] { return !peer->receive() && peer->received.size() == all.size(); }));
  EXPECT_TRUE(peer->received == all);
  for (auto& owner : owners) EXPECT_EQ(owner->released, 1);
  settle();
  EXPECT_EQ(sink.drains, 1);
}

TEST_F(TcpStreamTest, TakesNothingWhileAWriteIsInFlight) {
  auto peer = connect();
  std::string first = fill();
  base::Output second;
  second.append("second");
  stream->flush(second);
  EXPECT_EQ(second.to_string(), "second");
  EXPECT_TRUE(until([&] {
    peer->receive();
    return sink.drains == 1;
  }));
  stream->flush(second);
  EXPECT_TRUE(second.empty());
  EXPECT_TRUE(until([&] { return !peer->receive() && peer->received.size() == first.size() + 6; }));
  EXPECT_EQ(peer->received.substr(first.size()), "second");
}

TEST_F(TcpStreamTest, ShutdownComesBehindTheQueuedBytes) {
  auto peer = connect();
  std::string all = fill();
  stream->shutdown();
  EXPECT_TRUE(until([&] {
    peer->receive();
    return peer->ended;
  }));
  EXPECT_EQ(peer->error, 0);
  EXPECT_TRUE(peer->received == all);
  peer->send("still heard");
  EXPECT_TRUE(until([&] { return sink.received == "still heard"; }));
}

TEST_F(TcpStreamTest, ResetShowsThePeerThatNotAllCame) {
  auto peer = connect();
  fill();
  stream->reset();
  EXPECT_EQ(stream->queued(), 0u);
  EXPECT_TRUE(until([&] {
    peer->receive();
    return peer->error != 0;
  }));
  EXPECT_EQ(peer->error, ECONNRESET);
  stream->reset();  // and all else does nothing now
  stream->read_start();
  stream->shutdown();
  base::Output output;
  output.append("x");
  stream->flush(output);
  settle();
  EXPECT_EQ(sink.closes + sink.ends + sink.drains, 0);
}

TEST_F(TcpStreamTest, ResetInsideACallForBytes) {
  auto peer = connect();
  sink.when_bytes = [&](std::string_view) { stream->reset(); };
  peer->send("x");
  EXPECT_TRUE(until([&] {
    peer->receive();
    return peer->error == ECONNRESET;
  }));
  EXPECT_EQ(sink.closes, 0);
}

TEST_F(TcpStreamTest, HearsOfAPeersReset) {
  auto peer = connect();
  peer->reset();
  EXPECT_TRUE(until([&] { return sink.closes == 1; }));
  EXPECT_EQ(sink.reason, "connection reset by peer (ECONNRESET)");
  settle();
  EXPECT_EQ(sink.closes, 1);
  EXPECT_EQ(sink.ends, 0);
}

TEST_F(TcpStreamTest, HearsOfAResetOnceWhileItWrites) {
  auto peer = connect();
  fill();
  peer->reset();
  EXPECT_TRUE(until([&] { return sink.closes == 1; }));
  settle();
  EXPECT_EQ(sink.closes, 1);
  EXPECT_EQ(sink.drains, 0);
}

TEST_F(TcpStreamTest, HearsOfAResetWhileItOnlyWrites) {
  auto peer = connect();
  stream->read_stop();
  fill();
  peer->reset();
  EXPECT_TRUE(until([&] { return sink.closes == 1; }));
  settle();
  EXPECT_EQ(sink.closes, 1);
}

TEST_F(TcpStreamTest, AWriteThatFailsIsHeardOfAfterTheCall) {
  auto peer = connect();
  stream->read_stop();
  peer->reset();
  Owner owner(100'000, 'x');
  // The first may still find the socket's error, the second surely finds it broken.
  for (int i = 0; i < 2; ++i) {
    base::Output output;
    if (i == 0) output.append(owner.slice());
    if (i == 1) output.append("y");
    stream->flush(output);
    EXPECT_TRUE(output.empty());
    EXPECT_EQ(stream->queued(), 0u);
    EXPECT_EQ(sink.closes, 0);
  }
  EXPECT_EQ(owner.released, 1);
  loop.run(RunMode::kNoWait);
  EXPECT_EQ(sink.closes, 1);
  settle();
  EXPECT_EQ(sink.closes, 1);
}

TEST_F(TcpStreamTest, AResetIsHeardOfWhileNothingIsRead) {
  auto peer = connect();
  stream->read_stop();
  peer->send("unread");
  settle();
  EXPECT_EQ(sink.closes, 0);
  peer->reset();
  EXPECT_TRUE(until([&] { return sink.closes == 1; }));
  EXPECT_EQ(sink.received, "");
}

// A Unix socket hangs up as soon as its peer has closed, also behind bytes that are still to be read.
TEST_F(TcpStreamTest, BehindAUnixPeersEndItsBytesAreRead) {
  endpoint = Endpoint::path(::testing::TempDir() + "hang_up.sock");
  auto peer = connect();
  stream->read_stop();
  peer->send("unread");
  peer->close();
  settle();
  EXPECT_EQ(sink.closes, 0);
  stream->read_start();
  EXPECT_TRUE(until([&] { return sink.ends == 1; }));
  EXPECT_EQ(sink.received, "unread");
}

TEST_F(TcpStreamTest, DestroyedWhileAWriteIsInFlightItReleasesTheSlices) {
  auto peer = connect();
  std::vector<std::unique_ptr<Owner>> owners;
  base::Output output;
  for (int i = 0; i < 200; ++i) {
    owners.push_back(std::make_unique<Owner>(128 * 1024, 'd'));
    output.append(owners.back()->slice());
  }
  stream->flush(output);
  ASSERT_GT(stream->queued(), 0u);
  stream.reset();
  EXPECT_EQ(ledger.count(base::Kind::kStream), 0u);
  settle();
  for (auto& owner : owners) EXPECT_EQ(owner->released, 1);
  EXPECT_EQ(sink.closes + sink.drains + sink.ends, 0);
}

TEST_F(TcpStreamTest, DestroyedAfterAFailureItSaysNothing) {
  auto peer = connect();
  stream->read_stop();
  peer->reset();
  for (int i = 0; i < 2; ++i) write("x");
  stream.reset();  // the news of it was put off
  settle();
  EXPECT_EQ(sink.closes, 0);
}

TEST_F(TcpStreamTest, DestroyedItEndsTheConnection) {
  auto peer = connect();
  write("bye");
  stream.reset();
  EXPECT_TRUE(until([&] {
    peer->receive();
    return peer->ended;
  }));
  EXPECT_EQ(peer->received, "bye");
}

// As a loop that this one is nested in sees it, without a turn in between.
TEST_F(TcpStreamTest, ItsLoopsDescriptorShowsReadsAndWrites) {
  auto peer = connect();
  auto shows = [&] {
    pollfd descriptor{loop.backend_fd(), POLLIN, 0};
    return ::poll(&descriptor, 1, 0) == 1;
  };
  while (shows()) loop.run(RunMode::kNoWait);
  peer->send("x");
  EXPECT_TRUE(shows());
  EXPECT_TRUE(until([&] { return sink.received == "x"; }));
  while (shows()) loop.run(RunMode::kNoWait);
  std::string all = fill();
  while (shows()) loop.run(RunMode::kNoWait);
  while (peer->receive()) {
  }
  EXPECT_TRUE(shows());
}

// What comes while reading is paused costs one call, not one in each turn.
TEST_F(TcpStreamTest, APausedStreamIsNotWatched) {
  auto peer = connect();
  stream->read_stop();
  peer->send("x");
  loop.run(RunMode::kNoWait);
  pollfd descriptor{loop.backend_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&descriptor, 1, 0), 0);
  stream->read_start();
  EXPECT_TRUE(until([&] { return sink.received == "x"; }));
}

}  // namespace
}  // namespace fasterapi::net
