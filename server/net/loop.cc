#include "server/net/loop.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <string>
#include <system_error>
#include <utility>

#include "server/net/timer.h"

namespace fasterapi::net {

namespace {
// What the kernel can hand over in one read.
constexpr std::size_t kReadBuffer = 64 * 1024;
}  // namespace

Loop::Loop(LoopHooks hooks, base::Ledger& ledger)
    : hooks_(hooks), ledger_(ledger), read_buffer_(kReadBuffer), now_ms_(monotonic_ms()) {
  hold_standard_descriptors();
  wheel_ = std::make_unique<TimerWheel>(*this);
}

Loop::~Loop() { hooks_ = {}; }

bool Loop::run(RunMode mode) {
  in_turn_ = true;
  ++turn_;
  wall_known_ = false;
  // What puts itself off again waits for the turn after this one.
  if (!next_turn_.empty()) run_list(next_turn_);
  end_turn();
  const bool polled = poll(mode);
  poller_.dispatch();
  end_turn();
  run_deadlines();
  end_turn();
  in_turn_ = false;
  return polled;
}

std::int64_t Loop::longest_wait() const {
  std::int64_t own = hooks_.longest_wait == nullptr ? -1 : hooks_.longest_wait(hooks_.owner);
  if (own == 0) return 0;
  const int others_ms = backend_timeout();
  if (others_ms < 0) return own;
  const std::int64_t others = std::int64_t{others_ms} * 1'000'000;
  return own < 0 ? others : std::min(own, others);
}

bool Loop::poll(RunMode mode) {
  std::int64_t longest = mode == RunMode::kOnce ? longest_wait() : 0;
  bool leaves = longest != 0 && hooks_.before_poll != nullptr;
  if (leaves) hooks_.before_poll(hooks_.owner);
  const bool polled = poller_.wait(longest);
  now_ms_ = monotonic_ms();
  wall_known_ = false;
  if (leaves) hooks_.after_poll(hooks_.owner);
  return polled;
}

// Whoever is ready has its turn first: a connection whose bytes wait in its socket, because the loop
// was held up, has not missed its deadline.
void Loop::run_deadlines() {
  if (!wheel_->due(now_ms_)) return;
  for (std::size_t left = poller_.batches(); poller_.full() && left > 0; --left) {
    poller_.wait(0);
    poller_.dispatch();
    end_turn();
  }
  contain([this] { wheel_->advance(now_ms_); });
}

// Work put off by work put off belongs to the same turn: nothing may wait through the poll.
void Loop::end_turn() {
  while (!end_of_turn_.empty()) run_list(end_of_turn_);
}

void Loop::run_list(std::vector<Deferred*>& list) {
  running_.swap(list);
  for (std::size_t i = 0; i < running_.size(); ++i) {
    Deferred* work = running_[i];
    if (work == nullptr) continue;  // forgotten meanwhile
    work->queued = false;
    // Work that runs out of memory is given up; the others' must not be.
    contain([work] { work->run(work->self); });
  }
  running_.clear();
}

void Loop::at_end_of_turn(Deferred& work) {
  if (work.queued) return;
  work.queued = true;
  end_of_turn_.push_back(&work);
  if (end_of_turn_.size() == 1) changed();
}

void Loop::at_next_turn(Deferred& work) {
  if (work.queued) return;
  work.queued = true;
  next_turn_.push_back(&work);
  if (next_turn_.size() == 1) changed();
}

void Loop::when_descriptor_freed(Deferred& work) {
  if (work.queued) return;
  work.queued = true;
  starved_.push_back(&work);
}

void Loop::descriptor_freed() {
  for (Deferred* work : std::exchange(starved_, {})) {
    work->queued = false;
    at_next_turn(*work);
  }
}

void Loop::forget(Deferred& work) {
  if (!work.queued) return;
  work.queued = false;
  for (auto* list : {&end_of_turn_, &next_turn_, &starved_}) std::erase(*list, &work);
  for (Deferred*& running : running_) {
    if (running == &work) running = nullptr;
  }
}

int Loop::backend_timeout() const {
  if (!next_turn_.empty() || !end_of_turn_.empty()) return 0;
  return wheel_->wait_ms(monotonic_ms());
}

void Loop::changed() {
  if (hooks_.changed != nullptr) hooks_.changed(hooks_.owner);
}

std::time_t Loop::wall_seconds() {
  if (!wall_known_) {
    wall_ = std::time(nullptr);
    wall_known_ = true;
  }
  return wall_;
}

void hold_standard_descriptors() {
  // open() takes the lowest number that is free.
  for (int fd = 0; fd >= 0 && fd <= STDERR_FILENO;) {
    fd = ::open("/dev/null", O_RDWR);
    if (fd > STDERR_FILENO) ::close(fd);
  }
}

std::string error_text(int error) {
  std::string text = std::generic_category().message(error);
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] | 0x20);
  const char* name = strerrorname_np(error);
  return text + " (" + (name != nullptr ? name : std::to_string(error).c_str()) + ")";
}

std::uint64_t monotonic_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

}  // namespace fasterapi::net
