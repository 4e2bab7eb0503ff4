#include "server/net/timer.h"

#include <uv.h>

#include "server/net/loop.h"

namespace fasterapi::net {

void Deadline::arm(std::chrono::milliseconds from_now) {
  if (armed()) wheel_.unlink(*this);
  wheel_.link(*this, from_now);
}

void Deadline::disarm() {
  if (armed()) wheel_.unlink(*this);
}

TimerWheel::TimerWheel(Loop& loop) : loop_(loop), timer_(std::make_unique<uv_timer_t>()) {
  uv_timer_init(loop_.uv(), timer_.get());
  timer_->data = this;
}

TimerWheel::~TimerWheel() {
  // libuv still reads the handle until the close has ended, inside ~Loop's last run.
  uv_close(reinterpret_cast<uv_handle_t*>(timer_.release()), [](uv_handle_t* handle) {
    delete reinterpret_cast<uv_timer_t*>(handle);
  });
}

void TimerWheel::link(Deadline& deadline, std::chrono::milliseconds from_now) {
  std::uint64_t now = loop_.now_ms();
  if (armed_++ == 0) {
    tick_ = now / kTickMs;
    uv_timer_start(
        timer_.get(),
        [](uv_timer_t* timer) {
          auto* wheel = static_cast<TimerWheel*>(timer->data);
          wheel->loop_.enter();
          contain([wheel] { wheel->advance(wheel->loop_.now_ms()); });
        },
        kTickMs, kTickMs);
    loop_.changed();
  }
  auto wait = static_cast<std::uint64_t>(from_now.count() < 0 ? 0 : from_now.count());
  deadline.tick_ = (now + wait) / kTickMs + 1;  // the end of that tick: late, never early
  Deadline*& slot = slots_[deadline.tick_ % kSlots];
  deadline.next_ = slot;
  deadline.previous_ = &slot;
  if (slot != nullptr) slot->previous_ = &deadline.next_;
  slot = &deadline;
}

void TimerWheel::unlink(Deadline& deadline) {
  *deadline.previous_ = deadline.next_;
  if (deadline.next_ != nullptr) deadline.next_->previous_ = deadline.previous_;
  deadline.previous_ = nullptr;
  deadline.next_ = nullptr;
  if (--armed_ == 0) uv_timer_stop(timer_.get());
}

void TimerWheel::advance(std::uint64_t now_ms) {
  std::uint64_t target = now_ms / kTickMs;
  // After a stall longer than a lap one lap visits every slot.
  if (target > tick_ + kSlots) tick_ = target - kSlots;
  while (tick_ < target && armed_ > 0) {
    ++tick_;
    run_slot(tick_);
  }
}

void TimerWheel::run_slot(std::uint64_t tick) {
  // Firing may arm and disarm anything, so the slot is searched anew after each.
  for (bool fired = true; fired;) {
    fired = false;
    for (Deadline* deadline = slots_[tick % kSlots]; deadline != nullptr; deadline = deadline->next_) {
      if (deadline->tick_ > tick) continue;
      unlink(*deadline);
      deadline->fire_(deadline->self_);
      fired = true;
      break;
    }
  }
}

}  // namespace fasterapi::net
