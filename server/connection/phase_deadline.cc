#include "server/connection/phase_deadline.h"

#include <algorithm>
#include <utility>

namespace fasterapi::connection {

void PhaseDeadline::wait_for(Phase phase, std::uint64_t written) {
  const bool wrote = phase == Phase::kWrite && progressed(written);
  written_ = written;
  if (phase != std::exchange(phase_, phase) || std::exchange(restart_, false) || wrote) return begin();
  if (phase == Phase::kBody && received_ > 0) extend();
}

base::Milliseconds PhaseDeadline::timeout() const {
  switch (phase_) {
    case Phase::kHead:
      return settings_.head_timeout;
    case Phase::kBody:
      return settings_.body_timeout;
    case Phase::kWrite:
      return settings_.write_timeout;
    case Phase::kKeepAlive:
      return settings_.keep_alive_timeout;
    case Phase::kClose:
      return settings_.websocket.close_timeout;
    default:
      return settings_.linger_timeout;
  }
}

void PhaseDeadline::begin() {
  restart_ = false;
  received_ = 0;
  if (phase_ == Phase::kNone) return deadline_.disarm();
  const base::Milliseconds wait = timeout();
  if (phase_ == Phase::kBody) due_ms_ = wheel_.now_ms() + static_cast<std::uint64_t>(wait.count());
  deadline_.arm(wait);
}

// Never beyond a whole time-out from now: who has sent much at once may not be silent for longer.
void PhaseDeadline::extend() {
  const std::uint64_t now = wheel_.now_ms();
  const std::uint64_t latest = now + static_cast<std::uint64_t>(timeout().count());
  const std::size_t rate = settings_.min_body_rate;
  if (rate == 0) {
    due_ms_ = latest;
  } else {
    const std::size_t worth_ms = received_ * 1000 / rate;
    due_ms_ = std::min(latest, due_ms_ + worth_ms);
    received_ -= worth_ms * rate / 1000;  // what is worth less than a millisecond is not lost
  }
  deadline_.arm(base::Milliseconds(due_ms_ > now ? due_ms_ - now : 0));
}

}  // namespace fasterapi::connection
