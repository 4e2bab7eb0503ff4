// Rare moments in a turn and at the end of a stream, each of which once went wrong.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <string>

#include "server/net/listener.h"
#include "server/net/loop.h"
#include "server/net/tcp_stream.h"
#include "server/net/timer.h"
#include "server/testing/socket_peer.h"

namespace fasterapi::net {
namespace {

using testing::Endpoint;
using testing::SocketPeer;

struct Counts {
  int before = 0, after = 0, changed = 0;
  LoopHooks hooks() {
    return {.owner = this,
            .before_poll = [](void* self) { ++static_cast<Counts*>(self)->before; },
            .after_poll = [](void* self) { ++static_cast<Counts*>(self)->after; },
            .changed = [](void* self) { ++static_cast<Counts*>(self)->changed; }};
  }
};

TEST(LoopEdge, WorkRunsWithNothingWatched) {
  base::Ledger ledger;
  Loop loop({}, ledger);
  int ran = 0;
  Deferred work{[](void* count) { ++*static_cast<int*>(count); }, &ran, false};
  loop.at_end_of_turn(work);
  loop.run(RunMode::kNoWait);
  EXPECT_EQ(ran, 1);
  loop.forget(work);
}
TEST(LoopEdge, AnIdleLoopDoesNotSpin) {
  base::Ledger ledger;
  Loop loop({}, ledger);
  loop.run(RunMode::kNoWait);
  EXPECT_EQ(loop.backend_timeout(), -1);
}

class StreamEdge : public ::testing::Test, public StreamSink {
 protected:
  static void SetUpTestSuite() { std::signal(SIGPIPE, SIG_IGN); }
  void on_bytes(std::string_view bytes) override { received += bytes.size(); }
  void on_end() override {}
  void on_drained() override {}
  void on_closed(std::string_view) override { ++closes; }

  std::unique_ptr<SocketPeer> connect() {
    auto opened = Listener::open(
        loop, endpoint.take_fd(), 16,
        [this](std::unique_ptr<Stream> accepted) {
          stream = std::move(accepted);
          stream->set_sink(this);
        },
        [](int) {});
    listener = std::move(*opened);
    auto peer = std::make_unique<SocketPeer>(endpoint);
    for (int i = 0; i < 100'000 && stream == nullptr; ++i) loop.run(RunMode::kNoWait);
    return peer;
  }

  base::Ledger ledger;
  Counts counts;
  Loop loop{counts.hooks(), ledger};
  Endpoint endpoint = Endpoint::loopback();
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Stream> stream;
  std::size_t received = 0;
  int closes = 0;
};

TEST_F(StreamEdge, ShutdownIsDoneAtOnce) {
  auto peer = connect();
  stream->shutdown();
  for (int i = 0; i < 1000 && !peer->ended; ++i) peer->receive();
  EXPECT_TRUE(peer->ended);
}
TEST_F(StreamEdge, AResetReleasesTheBytesInFlightAtOnce) {
  auto peer = connect();
  std::string bytes(16 << 20, 'f');
  int released = 0;
  base::Output output;
  output.append(base::Slice(bytes, &released, [](void* count) { ++*static_cast<int*>(count); }));
  stream->flush(output);
  ASSERT_GT(stream->queued(), 0u);
  stream->reset();
  EXPECT_EQ(released, 1);
}

// fairness, reliability 1.12: at most 256 KB of one connection in a turn.
TEST_F(StreamEdge, OneTurnReadsAtMost256KB) {
  auto peer = connect();
  std::string data(1 << 20, 'd');
  for (int i = 0; i < 64; ++i) peer->send(data);
  stream->read_start();
  std::size_t most = 0;
  for (int i = 0; i < 50; ++i) {
    std::size_t before = received;
    loop.run(RunMode::kNoWait);
    most = std::max(most, received - before);
    peer->send(data);
  }
  EXPECT_LE(most, 256u * 1024);
}

// Deadlines of a later lap in the slot must not make each firing search the list anew: at this
// number that would not end within the runner's patience.
TEST(LoopEdge, FiringIsLinear) {
  base::Ledger ledger;
  Loop loop({}, ledger);
  constexpr int kEach = 200'000;
  int fired = 0;
  std::vector<std::unique_ptr<Deadline>> all;
  for (int i = 0; i < 2 * kEach; ++i) {
    all.push_back(std::make_unique<Deadline>(
        loop.wheel(), [](void* count) { ++*static_cast<int*>(count); }, &fired));
    all.back()->arm(std::chrono::milliseconds(i < kEach ? 5000 : 5000 + 51'200));
  }
  loop.wheel().advance(monotonic_ms() + 5'200);
  EXPECT_EQ(fired, kEach);
}

}  // namespace
}  // namespace fasterapi::net
