// A connected TCP or Unix stream socket over libuv. The only place that calls uv_close on a
// connection: the libuv handle outlives this object until libuv lets go of it.
#pragma once

#include <memory>

#include "server/base/ledger.h"
#include "server/net/loop.h"
#include "server/net/stream.h"

struct uv_stream_s;

namespace fasterapi::net {

class TcpStream final : public Stream {
 public:
  // Accepts the connection that waits on `listener`; null when there is none or it failed.
  static std::unique_ptr<TcpStream> accept(Loop& loop, uv_stream_s* listener, Address::Family family);
  ~TcpStream() override;

  void set_sink(StreamSink* sink) override { sink_ = sink; }
  void read_start() override;
  void read_stop() override;
  void flush(base::Output& output) override;
  std::size_t queued() const override;
  std::uint64_t written() const override { return taken_ - queued(); }
  bool broken() const override { return error_ != 0; }
  void shutdown() override;
  void reset() override;
  Address peer_address() const override;
  Address local_address() const override;

 private:
  struct Handle;  // the libuv handle, its requests and the bytes in flight

  TcpStream(Loop& loop, Handle* handle);
  bool write_now(base::Output& output);
  void write_later();
  void on_read(long count, const char* bytes);
  void count_read(std::size_t count);
  void on_written(int status);
  void fail_later(int uv_error);

  Loop& loop_;
  Handle* handle_;  // owns itself: freed by the callback of uv_close
  StreamSink* sink_ = nullptr;
  bool reading_ = false;
  bool writing_ = false;
  bool shutdown_wanted_ = false;
  std::uint64_t taken_ = 0;  // bytes taken by flush()
  int error_ = 0;            // libuv's, once the stream has failed
  Deferred failed_;
  Deferred read_on_;  // reading goes on in the next turn
  std::uint64_t read_turn_ = 0;
  std::size_t read_this_turn_ = 0;
  base::Ledger::Entry entry_;
};

}  // namespace fasterapi::net
