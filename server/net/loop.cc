#include "server/net/loop.h"

#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#include <string>
#include <system_error>

#include "server/net/timer.h"

namespace fasterapi::net {

namespace {
// What the kernel can hand over in one read; libuv's own suggestion.
constexpr std::size_t kReadBuffer = 64 * 1024;
}  // namespace

struct Loop::Handles {
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle;  // active while there is work that must not wait for the poll
};

Loop::Loop(LoopHooks hooks, base::Ledger& ledger)
    : hooks_(hooks),
      ledger_(ledger),
      uv_(std::make_unique<uv_loop_t>()),
      handles_(std::make_unique<Handles>()),
      read_buffer_(kReadBuffer) {
  hold_standard_descriptors();
  int failed = uv_loop_init(uv_.get());
  if (failed != 0) throw std::system_error(-failed, std::generic_category(), "uv_loop_init");
  uv_->data = this;
  uv_prepare_init(uv_.get(), &handles_->prepare);
  uv_check_init(uv_.get(), &handles_->check);
  uv_idle_init(uv_.get(), &handles_->idle);
  uv_prepare_start(&handles_->prepare,
                   [](uv_prepare_t* handle) { static_cast<Loop*>(handle->loop->data)->before_poll(); });
  uv_check_start(&handles_->check, [](uv_check_t* handle) {
    auto* loop = static_cast<Loop*>(handle->loop->data);
    loop->enter();
    if (!loop->after_poll_.empty()) loop->run_list(loop->after_poll_);
    loop->end_turn();
  });
  wheel_ = std::make_unique<TimerWheel>(*this);
}

Loop::~Loop() {
  hooks_ = {};
  wheel_.reset();
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
  may_block_ = mode == RunMode::kOnce;
  ++turn_;
  wall_known_ = false;
  uv_run(uv_.get(), mode == RunMode::kOnce ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  in_turn_ = false;
}

void Loop::before_poll() {
  if (!next_turn_.empty())
    run_list(next_turn_);  // what puts itself off again waits for the turn after this one
  end_turn();
  bool busy = !next_turn_.empty() || !after_poll_.empty() ||
              (hooks_.has_work != nullptr && hooks_.has_work(hooks_.owner));
  if (busy) {
    uv_idle_start(&handles_->idle, [](uv_idle_t*) {});
    return;
  }
  uv_idle_stop(&handles_->idle);
  // Whether the poll will block is not asked: libuv's answer leaves out what it registers first.
  if (may_block_ && hooks_.before_poll != nullptr) {
    polling_ = true;
    hooks_.before_poll(hooks_.owner);
  }
}

void Loop::leave_poll() {
  polling_ = false;
  wall_known_ = false;
  hooks_.after_poll(hooks_.owner);
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

void Loop::forget(Deferred& work) {
  if (!work.queued) return;
  work.queued = false;
  for (auto* list : {&end_of_turn_, &after_poll_, &next_turn_}) std::erase(*list, &work);
  for (Deferred*& running : running_) {
    if (running == &work) running = nullptr;
  }
}

int Loop::backend_fd() const { return uv_backend_fd(uv_.get()); }

int Loop::backend_timeout() const {
  uv_update_time(uv_.get());
  return uv_backend_timeout(uv_.get());
}

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
