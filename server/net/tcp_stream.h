// A connected TCP or Unix stream socket. The only place that reads, writes and closes a connection's
// descriptor.
#pragma once

#include "server/base/ledger.h"
#include "server/net/loop.h"
#include "server/net/stream.h"

namespace fasterapi::net {

class TcpStream final : public Stream {
 public:
  // Takes over `fd`, a connected, non-blocking stream socket.
  TcpStream(Loop& loop, int fd, Address::Family family);
  ~TcpStream() override;

  void set_sink(StreamSink* sink) override { sink_ = sink; }
  void read_start() override;
  void read_stop() override;
  void flush(base::Output& output) override;
  std::size_t queued() const override { return in_flight_.size(); }
  std::uint64_t written() const override { return taken_ - queued(); }
  bool broken() const override { return error_ != 0; }
  void shutdown() override;
  void reset() override;
  Address peer_address() const override;
  Address local_address() const override;

 private:
  void on_ready(bool readable, bool writable);
  void on_hang_up();
  void read();
  bool write_now(base::Output& output);
  void go_on_writing();
  bool update_watch();
  void close();
  void fail_later(int error);

  Loop& loop_;
  int fd_;  // -1: closed
  Address::Family family_;
  Watch watch_;
  StreamSink* sink_ = nullptr;
  bool reading_ = false;
  bool watches_read_ = false;  // what the kernel was last told
  bool watches_write_ = false;
  bool shutdown_wanted_ = false;
  base::Output in_flight_;   // taken, and more than the socket took
  std::uint64_t taken_ = 0;  // bytes taken by flush()
  int error_ = 0;            // the errno with which the stream failed
  Deferred failed_;
  base::Ledger::Entry entry_;
};

}  // namespace fasterapi::net
