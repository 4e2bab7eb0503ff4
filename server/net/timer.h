// Deadlines by the thousand: a hashed wheel that the loop turns. Arming and disarming are O(1),
// so that every request may move its connection's deadline. Coarse on purpose: a deadline fires
// at most one tick late and never early.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>

#include "server/net/deferred.h"

namespace fasterapi::net {

class Loop;
class TimerWheel;

// A point in time at which fire(self) is called, once. A member of the object it is for: it must
// not move, and disarms itself when it dies.
class Deadline {
 public:
  using Fire = void (*)(void* self);

  Deadline(TimerWheel& wheel, Fire fire, void* self) : wheel_(wheel), fire_(fire), self_(self) {}
  ~Deadline() { disarm(); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  void arm(std::chrono::milliseconds from_now);  // replaces what was armed before
  void disarm();
  bool armed() const { return previous_ != nullptr; }

 private:
  friend class TimerWheel;
  TimerWheel& wheel_;
  Fire fire_;
  void* self_;
  std::uint64_t tick_ = 0;
  // A doubly linked list through the wheel's slot; the slot's head is the address previous_ names.
  Deadline** previous_ = nullptr;
  Deadline* next_ = nullptr;
};

class TimerWheel {
 public:
  explicit TimerWheel(Loop& loop) : loop_(loop) {}

  std::size_t armed() const { return armed_; }
  // The clock from which deadlines are counted, now. Not the turn's time: what ran since may have
  // blocked for longer than a deadline.
  std::uint64_t now_ms() const;
  // Whether a tick has passed that advance() was not told of.
  bool due(std::uint64_t now_ms) const { return armed_ > 0 && now_ms / kTickMs > tick_; }
  // Milliseconds until it has; -1 when nothing is armed.
  int wait_ms(std::uint64_t now_ms) const;
  // Fires what is due at `now_ms`; called by the loop, and by tests.
  void advance(std::uint64_t now_ms);

 private:
  friend class Deadline;
  // 100 ms is fine enough for timeouts of seconds; 512 slots span 51 s, more waits for a lap.
  static constexpr std::uint64_t kTickMs = 100;
  static constexpr std::size_t kSlots = 512;

  void push(Deadline& deadline);
  void pull(Deadline& deadline);
  void arm(Deadline& deadline, std::chrono::milliseconds from_now);
  void unlink(Deadline& deadline);
  void run_slot(std::uint64_t tick);

  Loop& loop_;
  std::array<Deadline*, kSlots> slots_{};
  std::uint64_t tick_ = 0;    // the last one that was run
  std::uint64_t now_ms_ = 0;  // the latest that advance() was told: a test's clock is ahead of the loop's
  std::size_t armed_ = 0;
};

}  // namespace fasterapi::net
