#include "server/net/loop.h"

#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "server/net/timer.h"

namespace fasterapi::net {

namespace {
// What the kernel can hand over in one read; libuv's own suggestion.
constexpr std::size_t kReadBuffer = 64 * 1024;
}  // namespace

Loop::Loop(LoopHooks hooks, base::Ledger& ledger)
    : hooks_(hooks), ledger_(ledger), uv_(std::make_unique<uv_loop_t>()), read_buffer_(kReadBuffer) {
  hold_standard_descriptors();
  int failed = uv_loop_init(uv_.get());
  if (failed != 0) throw std::system_error(-failed, std::generic_category(), "uv_loop_init");
  uv_->data = this;
  uv_watch_ = std::make_unique<Watch>(
      poller_, [](void* self, bool, bool) { static_cast<Loop*>(self)->uv_ready_ = true; }, this);
  failed = uv_watch_->set(uv_backend_fd(uv_.get()), true, false);
  if (failed != 0) {
    uv_loop_close(uv_.get());
    throw std::system_error(failed, std::generic_category(), "epoll_ctl");
  }
  wheel_ = std::make_unique<TimerWheel>(*this);
}

Loop::~Loop() {
  hooks_ = {};
  wheel_.reset();
  uv_watch_.reset();
  uv_walk(
      uv_.get(),
      [](uv_handle_t* handle, void*) {
        if (!uv_is_closing(handle)) uv_close(handle, nullptr);
      },
      nullptr);
  while (uv_run(uv_.get(), UV_RUN_DEFAULT) != 0) {
  }
  uv_loop_close(uv_.get());
}

void Loop::run(RunMode mode) {
  in_turn_ = true;
  ++turn_;
  wall_known_ = false;
  if (!next_turn_.empty())
    run_list(next_turn_);  // what puts itself off again waits for the turn after this one
  end_turn();
  poll(mode);
  poller_.dispatch();
  run_libuv();
  if (!after_poll_.empty()) run_list(after_poll_);
  end_turn();
  in_turn_ = false;
}

std::int64_t Loop::longest_wait() const {
  std::int64_t own = hooks_.longest_wait == nullptr ? -1 : hooks_.longest_wait(hooks_.owner);
  if (own == 0) return 0;
  const int others_ms = backend_timeout();
  if (others_ms < 0) return own;
  const std::int64_t others = std::int64_t{others_ms} * 1'000'000;
  return own < 0 ? others : std::min(own, others);
}

void Loop::poll(RunMode mode) {
  std::int64_t longest = mode == RunMode::kOnce ? longest_wait() : 0;
  bool leaves = longest != 0 && hooks_.before_poll != nullptr;
  if (leaves) hooks_.before_poll(hooks_.owner);
  poller_.wait(longest);
  uv_update_time(uv_.get());
  wall_known_ = false;
  if (leaves) hooks_.after_poll(hooks_.owner);
}

// Where timers are due, whoever is ready has its turn first: a connection whose bytes wait in its
// socket, because the loop was held up, has not missed its deadline.
void Loop::run_libuv() {
  bool due = libuv_timeout() == 0;
  if (!due && !uv_ready_) return;
  for (std::size_t left = poller_.batches(); due && poller_.full() && left > 0; --left) {
    poller_.wait(0);
    poller_.dispatch();
  }
  uv_ready_ = false;
  uv_run(uv_.get(), UV_RUN_NOWAIT);
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

void Loop::after_poll(Deferred& work) {
  if (work.queued) return;
  work.queued = true;
  after_poll_.push_back(&work);
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
  for (auto* list : {&end_of_turn_, &after_poll_, &next_turn_, &starved_}) std::erase(*list, &work);
  for (Deferred*& running : running_) {
    if (running == &work) running = nullptr;
  }
}

int Loop::backend_timeout() const {
  if (!next_turn_.empty() || !end_of_turn_.empty() || !after_poll_.empty()) return 0;
  uv_update_time(uv_.get());
  return libuv_timeout();
}

// libuv answers 0 as long as it has handles of which the kernel does not know yet (since 1.44).
int Loop::libuv_timeout() const { return uv_loop_alive(uv_.get()) ? uv_backend_timeout(uv_.get()) : -1; }

void Loop::changed() {
  if (hooks_.changed != nullptr) hooks_.changed(hooks_.owner);
}

std::uint64_t Loop::now_ms() const { return uv_now(uv_.get()); }

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

std::string error_text(int uv_error) {
  return std::string(uv_strerror(uv_error)) + " (" + uv_err_name(uv_error) + ")";
}

}  // namespace fasterapi::net
