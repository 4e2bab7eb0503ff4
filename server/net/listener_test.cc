#include "server/net/listener.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>

#include <memory>
#include <vector>

#include "server/testing/stream_fixture.h"

namespace fasterapi::net {
namespace {

using ListenerTest = StreamFixture;

TEST_F(ListenerTest, AcceptsAllThatWait) {
  std::vector<std::unique_ptr<Stream>> accepted;
  auto opened = Listener::open(
      loop, endpoint.take_fd(), 64, [&](std::unique_ptr<Stream> one) { accepted.push_back(std::move(one)); },
      [](int) {});
  ASSERT_TRUE(opened);
  std::vector<std::unique_ptr<SocketPeer>> peers;
  for (int i = 0; i < 40; ++i) peers.push_back(std::make_unique<SocketPeer>(endpoint));
  EXPECT_TRUE(until([&] { return accepted.size() == peers.size(); }));
  EXPECT_EQ(ledger.count(base::Kind::kStream), peers.size());
}

TEST_F(ListenerTest, AClosedListenerLeavesItsConnections) {
  auto peer = connect();
  listener.reset();
  settle();
  peer->send("still here");
  EXPECT_TRUE(until([&] { return sink.received == "still here"; }));
  int late = testing::open_socket(AF_INET);
  EXPECT_NE(::connect(late, endpoint.name(), endpoint.size()), 0);
  if (errno == EINPROGRESS) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(late, SOL_SOCKET, SO_ERROR, &error, &size);
    EXPECT_EQ(error, ECONNREFUSED);
  }
  ::close(late);
}

TEST_F(ListenerTest, AListenerMayBeClosedInsideItsCall) {
  listen(endpoint);
  SocketPeer first(endpoint);
  auto opened = Listener::open(
      loop, Endpoint::loopback().take_fd(), 16, [](std::unique_ptr<Stream>) {}, [](int) {});
  ASSERT_TRUE(opened);
  EXPECT_EQ(ledger.count(base::Kind::kListener), 2u);
  opened->reset();
  EXPECT_EQ(ledger.count(base::Kind::kListener), 1u);
  EXPECT_TRUE(until([&] { return stream != nullptr; }));
}

TEST_F(ListenerTest, AListenerTakesOverTheDescriptorAlsoWhenItFails) {
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  auto opened = Listener::open(
      loop, fds[0], 16, [](std::unique_ptr<Stream>) {}, [](int) {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.failure().status, ENOTSOCK);
  EXPECT_EQ(::fcntl(fds[0], F_GETFD), -1);
  ::close(fds[1]);

  int datagram = ::socket(AF_INET, SOCK_DGRAM, 0);
  opened = Listener::open(
      loop, datagram, 16, [](std::unique_ptr<Stream>) {}, [](int) {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.failure().status, EOPNOTSUPP);
  EXPECT_EQ(opened.failure().reason.substr(0, 8), "listen: ");
  EXPECT_EQ(::fcntl(datagram, F_GETFD), -1);
  EXPECT_EQ(ledger.count(base::Kind::kListener), 0u);
}

// The limit on descriptors at what is open, and as it was again at the end.
class NoMoreDescriptors {
 public:
  NoMoreDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    int next = ::fcntl(0, F_DUPFD_CLOEXEC, 0);
    ::close(next);
    rlimit now = before_;
    now.rlim_cur = static_cast<rlim_t>(next);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &now), 0);
  }
  ~NoMoreDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_;
};

TEST_F(ListenerTest, WithoutDescriptorsConnectionsWaitAndNothingSpins) {
  auto first = connect();
  SocketPeer second(endpoint);
  {
    NoMoreDescriptors none;
    stream->read_stop();
    EXPECT_TRUE(until([&] { return !scarcities.empty(); }));
    EXPECT_EQ(scarcities.back(), EMFILE);
    pollfd descriptor{loop.backend_fd(), POLLIN, 0};
    settle();
    EXPECT_EQ(::poll(&descriptor, 1, 0), 0);
    EXPECT_EQ(scarcities.size(), 1u);
    // One that is given back is taken at once: no time need pass.
    Stream* before = stream.get();
    stream->reset();
    loop.run(RunMode::kNoWait);
    loop.run(RunMode::kNoWait);
    EXPECT_NE(stream.get(), before);
  }
  second.send("at last");
  EXPECT_TRUE(until([&] { return sink.received == "at last"; }));
}

TEST_F(ListenerTest, TriesAgainWhenOthersGaveDescriptorsBack) {
  listen(endpoint);
  std::unique_ptr<SocketPeer> peer;
  {
    peer = std::make_unique<SocketPeer>(endpoint);
    NoMoreDescriptors none;
    EXPECT_TRUE(until([&] { return !scarcities.empty(); }));
  }
  while (stream == nullptr) loop.run(RunMode::kOnce);
}

}  // namespace
}  // namespace fasterapi::net
