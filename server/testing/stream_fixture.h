// Real sockets on this machine. No wait has a time: until() runs the loop until something is so.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/net/listener.h"
#include "server/testing/socket_peer.h"

namespace fasterapi::net {

using testing::Endpoint;
using testing::SocketPeer;

struct RecordingSink final : StreamSink {
  void on_bytes(std::string_view bytes) override {
    EXPECT_EQ(closes, 0);
    received.append(bytes);
    if (when_bytes) when_bytes(bytes);
  }
  void on_end() override {
    EXPECT_EQ(closes, 0);
    ++ends;
  }
  void on_drained() override {
    EXPECT_EQ(closes, 0);
    ++drains;
  }
  void on_closed(std::string_view why) override {
    ++closes;
    reason = why;
  }

  std::string received;
  int ends = 0;
  int drains = 0;
  int closes = 0;
  std::string reason;
  std::function<void(std::string_view)> when_bytes;
};

class StreamFixture : public ::testing::Test {
 protected:
  void TearDown() override {
    stream.reset();
    listener.reset();
    EXPECT_EQ(ledger.count(base::Kind::kStream), 0u);
    EXPECT_EQ(ledger.count(base::Kind::kListener), 0u);
  }

  template <class Condition>
  bool until(Condition condition) {
    for (int i = 0; i < 200'000; ++i) {
      if (condition()) return true;
      loop.run(RunMode::kNoWait);
    }
    return false;
  }
  // Enough turns for whatever could still come.
  void settle() {
    for (int i = 0; i < 50; ++i) loop.run(RunMode::kNoWait);
  }

  void listen(Endpoint& where) {
    auto opened = Listener::open(
        loop, where.take_fd(), 16,
        [this](std::unique_ptr<Stream> accepted) {
          stream = std::move(accepted);
          stream->set_sink(&sink);
          stream->read_start();
        },
        [this](int error) { scarcities.push_back(error); });
    ASSERT_TRUE(opened) << opened.failure().reason;
    listener = std::move(*opened);
  }
  std::unique_ptr<SocketPeer> connect(int receive_buffer = 0) {
    listen(endpoint);
    auto peer = std::make_unique<SocketPeer>(endpoint, receive_buffer);
    EXPECT_TRUE(until([&] { return stream != nullptr; }));
    return peer;
  }
  void write(std::string_view bytes) {
    base::Output output;
    output.append(bytes);
    stream->flush(output);
    EXPECT_TRUE(output.empty());
  }
  // More than the kernel takes, so that a write is in flight; returns all of it.
  std::string fill(std::size_t size = 16 << 20) {
    std::string all(size, 'f');
    write(all);
    EXPECT_GT(stream->queued(), 0u);
    return all;
  }

  base::Ledger ledger;
  int changes = 0;
  Loop loop{{.owner = this, .changed = [](void* self) { ++static_cast<StreamFixture*>(self)->changes; }},
            ledger};
  Endpoint endpoint = Endpoint::loopback();
  RecordingSink sink;
  std::vector<int> scarcities;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Stream> stream;
};

}  // namespace fasterapi::net
