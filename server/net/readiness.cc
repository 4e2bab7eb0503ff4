#include "server/net/readiness.h"

#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

#include <array>
#include <cerrno>

namespace fasterapi::net {

namespace {
// Taken in one turn; epoll serves the others first the next time.
constexpr int kMaxEvents = 256;
}  // namespace

Readiness::Readiness(Loop& loop, void* owner, OnReady on_ready)
    : loop_(loop), owner_(owner), on_ready_(on_ready) {}

Readiness::~Readiness() {
  if (handle_ != nullptr) {
    handle_->data = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(handle_),
             [](uv_handle_t* closed) { delete reinterpret_cast<uv_poll_t*>(closed); });
  }
  if (epoll_ >= 0) close(epoll_);
}

int Readiness::open() {
  if (handle_ != nullptr) return 0;
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return errno;
  auto handle = std::make_unique<uv_poll_t>();
  int failed = uv_poll_init(loop_.uv(), handle.get(), epoll_);
  if (failed != 0) {
    close(epoll_);
    epoll_ = -1;
    return -failed;
  }
  handle_ = handle.release();
  handle_->data = this;
  uv_poll_start(handle_, UV_READABLE, [](uv_poll_t* poll, int, int) {
    static_cast<Loop*>(poll->loop->data)->enter();
    if (poll->data != nullptr) contain([poll] { static_cast<Readiness*>(poll->data)->poll(); });
  });
  loop_.changed();
  return 0;
}

int Readiness::watch(int fd, bool read, bool write) {
  if (int error = open(); error != 0) return error;
  epoll_event event{};
  event.events = (read ? EPOLLIN : 0u) | (write ? EPOLLOUT : 0u);
  event.data.fd = fd;
  if (!read && !write) return epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr) == 0 ? 0 : errno;
  if (epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0) return 0;
  if (errno != ENOENT) return errno;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

void Readiness::poll() {
  std::array<epoll_event, kMaxEvents> events;
  int count = epoll_wait(epoll_, events.data(), kMaxEvents, 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    on_ready_(owner_, event.data.fd, (event.events & ~EPOLLOUT) != 0, (event.events & ~EPOLLIN) != 0);
  }
}

}  // namespace fasterapi::net
