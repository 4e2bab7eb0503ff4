// A connection without a socket. FakePeer is the test's end and outlives the connection; the
// net::Stream that it gives away is owned by whoever is tested.
//
// The "kernel" between the two: what the peer sends waits here while the stream does not read, and
// what the stream writes is taken up to `window` bytes, so that the rest stays queued() until the
// peer takes some. As with a real stream no call to the sink comes from inside a call to the
// stream.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/base/output.h"
#include "server/net/stream.h"

namespace fasterapi::testing {

enum class Feed : bool { kWhole, kByteByByte };

class FakePeer {
 public:
  static constexpr std::size_t kNoLimit = static_cast<std::size_t>(-1);
  static constexpr std::size_t kOneRead = 64 * 1024;  // net::Loop's read buffer

  FakePeer() = default;
  FakePeer(const FakePeer&) = delete;
  FakePeer& operator=(const FakePeer&) = delete;

  // Once: the other end.
  std::unique_ptr<net::Stream> stream();

  // --- The peer's moves --------------------------------------------------------------------
  void send(std::string_view bytes) {
    unread_.append(bytes);
    deliver();
  }
  void end() {  // its FIN, behind what it has sent
    end_due_ = true;
    deliver();
  }
  void fail(std::string_view reason);  // a reset, or the like
  // What has been sent, as far as the stream reads now. To be called after it has started again.
  void deliver();
  // Runs each read inside a turn of the loop, at whose end its consequences are drawn.
  std::function<void(const std::function<void()>& read)> in_turn;
  // Reads `count` bytes more: the window moves on, and the stream is told once it has drained.
  void take(std::size_t count);
  void take_all() { take(kNoLimit); }

  // --- What the test sees ------------------------------------------------------------------
  const std::string& received() const { return received_; }
  std::string take_received() { return std::exchange(received_, {}); }
  std::size_t unread() const { return unread_.size(); }  // sent, not yet read by the stream
  std::size_t queued() const { return queue_.size(); }
  bool reading() const { return reading_; }
  bool shut_down() const { return shut_down_; }  // the stream sent its FIN
  bool was_reset() const { return reset_; }
  bool closed() const { return stream_ == nullptr || reset_; }

  Feed feed = Feed::kWhole;
  std::size_t window = kNoLimit;  // bytes that are still taken
  net::Address address{net::Address::Family::kInet, "192.0.2.1", 4711};

 private:
  class Stream;

  void write(base::Output& output);

  Stream* stream_ = nullptr;
  net::StreamSink* sink_ = nullptr;
  std::string unread_;
  std::string received_;
  base::Output queue_;
  std::uint64_t written_ = 0;
  bool reading_ = false;
  bool end_due_ = false;
  bool shut_down_ = false;
  bool reset_ = false;
};

class FakePeer::Stream final : public net::Stream {
 public:
  explicit Stream(FakePeer& peer) : peer_(peer) {}
  ~Stream() override {
    peer_.stream_ = nullptr;
    peer_.sink_ = nullptr;
    peer_.reading_ = false;
    peer_.queue_.clear();
  }

  void set_sink(net::StreamSink* sink) override { peer_.sink_ = sink; }
  void read_start() override { peer_.reading_ = !peer_.reset_; }
  void read_stop() override { peer_.reading_ = false; }
  void flush(base::Output& output) override {
    if (peer_.reset_) return output.clear();
    if (output.empty() || !peer_.queue_.empty()) return;
    EXPECT_FALSE(peer_.shut_down_) << "bytes behind the FIN: " << output.to_string();
    peer_.write(output);
    std::swap(peer_.queue_, output);
  }
  std::size_t queued() const override { return peer_.queue_.size(); }
  std::uint64_t written() const override { return peer_.written_; }
  bool broken() const override { return false; }
  void shutdown() override { peer_.shut_down_ = true; }
  void reset() override {
    peer_.reset_ = true;
    peer_.reading_ = false;
    peer_.queue_.clear();
  }
  net::Address peer_address() const override { return peer_.address; }
  net::Address local_address() const override { return {net::Address::Family::kInet, "192.0.2.2", 80}; }

 private:
  FakePeer& peer_;
};

inline std::unique_ptr<net::Stream> FakePeer::stream() {
  auto made = std::make_unique<Stream>(*this);
  stream_ = made.get();
  return made;
}

inline void FakePeer::write(base::Output& output) {
  while (!output.empty() && window > 0) {
    std::array<iovec, 1> piece{};
    output.gather(piece);
    std::size_t count = std::min(piece[0].iov_len, window);
    received_.append(static_cast<const char*>(piece[0].iov_base), count);
    written_ += count;
    output.consume(count);
    if (window != kNoLimit) window -= count;
  }
}

inline void FakePeer::deliver() {
  while (reading_ && !unread_.empty()) {
    std::size_t size = feed == Feed::kWhole ? std::min(kOneRead, unread_.size()) : 1;
    // A heap block of its own for each read: the sanitizer sees a view that was kept too long.
    auto piece = std::make_unique<std::string>(unread_.substr(0, size));
    unread_.erase(0, size);
    in_turn([&] { sink_->on_bytes(*piece); });
  }
  if (!reading_ || !end_due_) return;
  end_due_ = false;
  reading_ = false;
  sink_->on_end();
}

inline void FakePeer::fail(std::string_view reason) {
  if (closed()) return;
  reading_ = false;
  queue_.clear();
  sink_->on_closed(reason);
}

inline void FakePeer::take(std::size_t count) {
  bool writing = !queue_.empty();
  window = count == kNoLimit ? kNoLimit : window + count;
  write(queue_);
  if (writing && queue_.empty() && !closed()) sink_->on_drained();
}

}  // namespace fasterapi::testing
