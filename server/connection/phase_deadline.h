// What one connection waits for, and until when: each phase has its deadline, all from the loop's one
// timer wheel. Owned by the connection, which names the phase whenever it may have changed.
//
// Only progress moves a deadline: of a request's body by the time that its bytes are worth at
// settings.min_body_rate, of an answer by the whole time-out. Nothing moves the head's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "server/base/settings.h"
#include "server/net/timer.h"

namespace fasterapi::connection {

enum class Phase : unsigned char { kNone, kHead, kBody, kWrite, kKeepAlive, kClose, kLinger };

class PhaseDeadline {
 public:
  PhaseDeadline(net::TimerWheel& wheel, const base::Settings& settings, net::Deadline::Fire fire, void* self)
      : wheel_(wheel), settings_(settings), deadline_(wheel, fire, self) {}

  Phase phase() const { return phase_; }
  // The next wait_for() begins a new wait, even for the same phase.
  void restart() { restart_ = true; }
  // Bytes of the request's body have come since the last wait_for().
  void received(std::size_t bytes) { received_ += bytes; }
  // Waits for `phase` from now on, or goes on to. `written`: bytes that the peer's kernel has taken.
  void wait_for(Phase phase, std::uint64_t written);
  // Bytes were written since the last wait_for().
  bool progressed(std::uint64_t written) const { return written > written_; }
  void stop() { deadline_.disarm(); }

 private:
  base::Milliseconds timeout() const;
  void begin();
  void extend();

  net::TimerWheel& wheel_;
  const base::Settings& settings_;
  net::Deadline deadline_;
  std::uint64_t written_ = 0;
  std::uint64_t due_ms_ = 0;  // of a body's deadline
  std::size_t received_ = 0;  // bytes of a body that have moved no deadline yet
  Phase phase_ = Phase::kNone;
  bool restart_ = false;
};

}  // namespace fasterapi::connection
