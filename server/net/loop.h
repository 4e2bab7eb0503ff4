// One event loop, and what the rooms above need of it: descriptors that are watched, work put off to
// the end of the turn, work for the next turn, the timer wheel, the turn's time. Owned by the
// scheduler (asgi/loop) or, when nested in somebody else's loop, by the server. One thread; nothing
// here is thread safe.
//
// A turn: run() -> put-off work -> before_poll -> poll -> after_poll -> watches -> put-off work ->
// deadlines -> put-off work. Streams, listeners, watches and deadlines must be gone before the Loop is.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "server/base/ledger.h"
#include "server/net/deferred.h"
#include "server/net/poller.h"

namespace fasterapi::net {

class TimerWheel;

// What the loop's owner does around the blocking poll.
struct LoopHooks {
  void* owner = nullptr;
  // How long the poll may take at most, in nanoseconds: 0 with work in hand, -1 without a limit.
  std::int64_t (*longest_wait)(void* owner) = nullptr;
  void (*before_poll)(void* owner) = nullptr;  // the thread is about to block
  void (*after_poll)(void* owner) = nullptr;   // once for each before_poll, before any callback's work
  void (*changed)(void* owner) = nullptr;      // the next turn has become due sooner
};

enum class RunMode : bool { kOnce, kNoWait };

class Loop {
 public:
  Loop(LoopHooks hooks, base::Ledger& ledger);  // throws std::system_error
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // False when the loop cannot poll any more, because somebody closed its descriptor.
  bool run(RunMode mode);
  bool in_turn() const { return in_turn_; }
  // Counts turns; for limits "per turn".
  std::uint64_t turn() const { return turn_; }

  void at_end_of_turn(Deferred& work);
  void at_next_turn(Deferred& work);
  // In the turn after a socket of this loop has been closed: there may be a descriptor again.
  void when_descriptor_freed(Deferred& work);
  void descriptor_freed();
  void forget(Deferred& work);
  // A timer was started, or work put off: a loop that this one is nested in must run it again.
  void changed();

  std::uint64_t now_ms() const { return now_ms_; }  // monotonic, as of this turn
  std::time_t wall_seconds();                       // the clock of the Date header, read once a turn

  // For a loop that this one is nested in: the descriptor to watch, and milliseconds to wait at
  // most before the next run (-1: no limit).
  int backend_fd() const { return poller_.fd(); }
  int backend_timeout() const;

  Poller& poller() { return poller_; }
  TimerWheel& wheel() { return *wheel_; }
  base::Ledger& ledger() { return ledger_; }
  // One buffer for all reads of this loop: what is read is parsed before the next read.
  std::vector<char>& read_buffer() { return read_buffer_; }

 private:
  std::int64_t longest_wait() const;
  bool poll(RunMode mode);
  void run_deadlines();
  void end_turn();
  void run_list(std::vector<Deferred*>& list);

  LoopHooks hooks_;
  base::Ledger& ledger_;
  Poller poller_;
  std::unique_ptr<TimerWheel> wheel_;
  std::vector<Deferred*> end_of_turn_;
  std::vector<Deferred*> next_turn_;
  std::vector<Deferred*> starved_;
  std::vector<Deferred*> running_;
  std::vector<char> read_buffer_;
  std::uint64_t turn_ = 0;
  std::uint64_t now_ms_;
  std::time_t wall_ = 0;
  bool wall_known_ = false;
  bool in_turn_ = false;
};

// Runs the body of a callback; what it throws (out of memory) does not cross the loop. False when it
// threw.
template <class Body>
bool contain(Body&& body) noexcept {
  try {
    body();
    return true;
  } catch (...) {
    return false;
  }
}

// Why run() was false.
inline constexpr const char* kCannotPoll = "the event loop cannot poll: somebody has closed its descriptor";

// Opens /dev/null where standard input, output or error is closed: a connection that got such a
// number would be written to by whoever prints.
void hold_standard_descriptors();

// A positive errno as a phrase for logs: "connection reset by peer (ECONNRESET)".
std::string error_text(int error);

// The clock of now_ms(), read now.
std::uint64_t monotonic_ms();

}  // namespace fasterapi::net
