// A byte stream to one peer as the connections see it: TCP, a Unix socket, TLS over either, or a
// test's fake.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/base/output.h"

namespace fasterapi::net {

struct Address {
  enum class Family : unsigned char { kNone, kInet, kUnix };
  Family family = Family::kNone;
  std::string host;  // numeric address, or the socket's path
  int port = 0;
  bool operator==(const Address&) const = default;
};

// Called by a stream, in the loop's thread. on_closed is the last call, and never comes after
// Stream::close().
class StreamSink {
 public:
  virtual void on_bytes(std::string_view bytes) = 0;    // a view until the call returns
  virtual void on_end() = 0;                            // the peer sent its last byte
  virtual void on_drained() = 0;                        // all bytes of an earlier flush() are written
  virtual void on_closed(std::string_view reason) = 0;  // the stream failed: reset, time-out, ...

 protected:
  ~StreamSink() = default;
};

class Stream {
 public:
  virtual ~Stream() = default;  // closes at once, without a call to the sink

  virtual void set_sink(StreamSink* sink) = 0;
  virtual void read_start() = 0;
  virtual void read_stop() = 0;
  // Takes all bytes of `output`: writes what the socket takes now, keeps and sends the rest.
  // While an earlier rest is being sent it takes nothing, and on_drained() follows.
  virtual void flush(base::Output& output) = 0;
  // Bytes taken and not yet accepted by the kernel; goes down as the peer reads.
  virtual std::size_t queued() const = 0;
  // Bytes that the kernel has accepted since the beginning.
  virtual std::uint64_t written() const = 0;
  // The stream has failed, and on_closed() is on its way.
  virtual bool broken() const = 0;
  virtual void shutdown() = 0;  // end of our bytes (FIN), after the queued ones
  virtual void reset() = 0;     // close with RST: the peer sees that what it got is not whole
  virtual Address peer_address() const = 0;
  virtual Address local_address() const = 0;
};

}  // namespace fasterapi::net
