// The time of a loop's deadlines, moved by the test: no test waits. The loop's own time is that of
// the machine; this clock starts so far ahead of it that it never matters.
#pragma once

#include <chrono>
#include <cstdint>

#include "server/net/loop.h"
#include "server/net/timer.h"

namespace fasterapi::testing {

class FakeClock {
 public:
  // Before the first deadline is armed.
  explicit FakeClock(net::Loop& loop) : loop_(loop), now_ms_(loop.now_ms() + kHeadStart) { step(0); }

  // Fires what is due, tick by tick: a deadline that is armed by another's firing counts from there.
  void advance(std::chrono::milliseconds by) {
    auto left = static_cast<std::uint64_t>(by.count());
    for (; left > kTick; left -= kTick) step(kTick);
    step(left);
  }

 private:
  static constexpr std::uint64_t kHeadStart = 24 * 3600 * 1000;
  static constexpr std::uint64_t kTick = 100;

  void step(std::uint64_t ms) {
    now_ms_ += ms;
    loop_.wheel().advance(now_ms_);
  }

  net::Loop& loop_;
  std::uint64_t now_ms_;
};

}  // namespace fasterapi::testing
