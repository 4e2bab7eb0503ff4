#include "server/net/timer.h"

#include <algorithm>
#include <utility>

#include "server/net/loop.h"

namespace fasterapi::net {

void Deadline::arm(std::chrono::milliseconds from_now) { wheel_.arm(*this, from_now); }

void Deadline::disarm() {
  if (armed()) wheel_.unlink(*this);
}

std::uint64_t TimerWheel::now_ms() const { return std::max(now_ms_, monotonic_ms()); }

int TimerWheel::wait_ms(std::uint64_t now_ms) const {
  if (armed_ == 0) return -1;
  const std::uint64_t next = (tick_ + 1) * kTickMs;
  return next > now_ms ? static_cast<int>(next - now_ms) : 0;
}

void TimerWheel::arm(Deadline& deadline, std::chrono::milliseconds from_now) {
  const std::uint64_t now = now_ms();
  const auto wait = static_cast<std::uint64_t>(from_now.count() < 0 ? 0 : from_now.count());
  const std::uint64_t tick = (now + wait) / kTickMs + 1;  // the end of that tick: late, never early
  if (deadline.armed()) {
    // Put off, as with each request of a connection: it moves when its slot comes round, and not now,
    // which would touch its neighbours' memory.
    if (tick >= deadline.tick_) {
      deadline.tick_ = tick;
      return;
    }
    unlink(deadline);
  }
  if (armed_++ == 0) {
    tick_ = now / kTickMs;
    loop_.changed();
  }
  deadline.tick_ = tick;
  push(deadline);
}

void TimerWheel::push(Deadline& deadline) {
  Deadline*& slot = slots_[deadline.tick_ % kSlots];
  deadline.next_ = slot;
  deadline.previous_ = &slot;
  if (slot != nullptr) slot->previous_ = &deadline.next_;
  slot = &deadline;
}

void TimerWheel::pull(Deadline& deadline) {
  *deadline.previous_ = deadline.next_;
  if (deadline.next_ != nullptr) deadline.next_->previous_ = deadline.previous_;
  deadline.previous_ = nullptr;
  deadline.next_ = nullptr;
}

void TimerWheel::unlink(Deadline& deadline) {
  pull(deadline);
  --armed_;
}

void TimerWheel::advance(std::uint64_t now_ms) {
  now_ms_ = std::max(now_ms_, now_ms);
  std::uint64_t target = now_ms / kTickMs;
  // After a stall longer than a lap one lap visits every slot.
  if (target > tick_ + kSlots) tick_ = target - kSlots;
  while (tick_ < target && armed_ > 0) {
    ++tick_;
    run_slot(tick_);
  }
}

void TimerWheel::run_slot(std::uint64_t tick) {
  // Firing may arm and disarm anything, so each is taken from a list of its own before it fires.
  Deadline* waiting = std::exchange(slots_[tick % kSlots], nullptr);
  if (waiting != nullptr) waiting->previous_ = &waiting;
  while (waiting != nullptr) {
    Deadline& deadline = *waiting;
    if (deadline.tick_ > tick) {
      pull(deadline);
      push(deadline);
    } else {
      unlink(deadline);
      deadline.fire_(deadline.self_);
    }
  }
}

}  // namespace fasterapi::net
