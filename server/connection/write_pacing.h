// When an application that writes has to wait: it goes on at once as long as the peer takes
// everything; but not for ever in one turn, and not into a stream that has failed, of which it hears when
// it waits. Owned by the connection.
#pragma once

#include <cstddef>
#include <cstdint>

#include "server/base/output.h"
#include "server/base/settings.h"
#include "server/net/loop.h"
#include "server/net/stream.h"

namespace fasterapi::connection {

class WritePacing {
 public:
  // `proceed`: run in the next turn after much was written in this one.
  WritePacing(net::Loop& loop, const base::Settings& settings, net::Deferred& proceed)
      : loop_(loop), settings_(settings), proceed_(proceed) {}

  // A new answer begins, and waits for nothing.
  void restart() { waiting_ = false; }
  // So many bytes of the application's were put into `output`, which `stream` takes from.
  void wrote(std::size_t size, base::Output& output, net::Stream& stream);
  bool waiting() const { return waiting_; }
  // Whether it waited and need not any more.
  bool is_over(std::size_t queued) {
    if (!waiting_ || proceed_.queued || queued > settings_.write_low_water) return false;
    waiting_ = false;
    return true;
  }

 private:
  net::Loop& loop_;
  const base::Settings& settings_;
  net::Deferred& proceed_;
  std::uint64_t turn_ = 0;
  std::size_t written_this_turn_ = 0;
  bool waiting_ = false;  // until somebody is told that the connection is writable
};

}  // namespace fasterapi::connection
