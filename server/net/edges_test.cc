// Rare moments in a turn and at the end of a stream, each of which once went wrong.
#include <gtest/gtest.h>
#include <uv.h>

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

// put-off work does not run while libuv has no active handle; the timeout then says "at once", so
// that a loop around this one spins.
TEST(LoopEdge, WorkRunsWithoutAnActiveHandle) {
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

// A watcher that libuv has not told the kernel of yet must neither be slept through nor make the loop
// block without a word (with the GIL held).
TEST(LoopEdge, AFreshWatcherIsNotSleptThrough) {
  base::Ledger ledger;
  Counts counts;
  Loop loop(counts.hooks(), ledger);
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  uv_poll_t poll;
  int told = 0;
  poll.data = &told;
  uv_poll_init(loop.uv(), &poll, fds[0]);
  loop.run(RunMode::kNoWait);
  uv_poll_start(&poll, UV_READABLE, [](uv_poll_t* handle, int, int) {
    ++*static_cast<int*>(handle->data);
    uv_poll_stop(handle);
  });
  ASSERT_EQ(::write(fds[1], "x", 1), 1);
  for (int i = 0; i < 3 && told == 0; ++i) loop.run(RunMode::kOnce);  // would wait for ever
  EXPECT_EQ(told, 1);
  uv_close(reinterpret_cast<uv_handle_t*>(&poll), nullptr);
  loop.run(RunMode::kNoWait);
  ::close(fds[0]);
  ::close(fds[1]);
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

// shutdown() is done by libuv's next poll, of which the loop around is not told.
TEST_F(StreamEdge, ShutdownSaysThatTheLoopMustRun) {
  auto peer = connect();
  loop.run(RunMode::kNoWait);
  int before = counts.changed;
  stream->shutdown();
  bool already = !peer->receive() && peer->ended;
  EXPECT_TRUE(already || counts.changed > before);
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

// many later-lap deadlines in the slot make each firing search the list anew.
TEST(LoopEdge, FiringIsLinear) {
  base::Ledger ledger;
  Loop loop({}, ledger);
  loop.uv()->time = 1'000'000;
  std::vector<std::unique_ptr<Deadline>> all;
  for (int i = 0; i < 10'000; ++i) {
    all.push_back(std::make_unique<Deadline>(
        loop.wheel(), [](void*) {}, nullptr));
    all.back()->arm(std::chrono::milliseconds(5000));
  }
  for (int i = 0; i < 10'000; ++i) {
    all.push_back(std::make_unique<Deadline>(
        loop.wheel(), [](void*) {}, nullptr));
    all.back()->arm(std::chrono::milliseconds(5000 + 51'200));
  }
  std::uint64_t start = uv_hrtime();
  loop.wheel().advance(1'000'000 + 5'200);
  double ms = static_cast<double>(uv_hrtime() - start) / 1e6;
  EXPECT_LT(ms, 50) << "the loop stands still for " << ms << " ms";
}

// libuv's writes raise SIGPIPE: the rooms rely on the host to ignore it.
}  // namespace
}  // namespace fasterapi::net
