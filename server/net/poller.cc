#include "server/net/poller.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <new>
#include <system_error>

namespace fasterapi::net {

int Watch::set(int fd, bool read, bool write) {
  bool known = fd_ >= 0 && fd_ == fd;
  if (!known) stop();
  if (!read && !write) {
    if (!known) return 0;
    int failed = poller_.remove(fd);
    poller_.forget(fd);
    fd_ = -1;
    return failed;
  }
  std::uint32_t events = (read ? EPOLLIN : 0u) | (write ? EPOLLOUT : 0u);
  int failed = known ? poller_.modify(fd, events) : ENOENT;
  // New, or a number that was closed and has been given out again.
  if (failed == ENOENT) failed = poller_.add(*this, fd, events);
  if (failed != 0) stop();
  return failed;
}

int Watch::share(int fd) {
  stop();
  return poller_.add(*this, fd, EPOLLIN | EPOLLEXCLUSIVE);
}

int Watch::pause() { return fd_ < 0 ? 0 : poller_.modify(fd_, 0); }

void Watch::stop() {
  if (fd_ >= 0) set(fd_, false, false);
}

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)), process_(getpid()) {
  if (epoll_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

Poller::~Poller() { close(epoll_); }

bool Poller::wait(std::int64_t timeout_ns) {
  int count = -1;
  if (timeout_ns > 0 && precise_) {
    count = wait_precisely(timeout_ns);
    precise_ = count >= 0 || errno != ENOSYS;
  }
  if (timeout_ns <= 0 || !precise_) {
    // Whole milliseconds, rounded up, and no more of them than an int holds.
    std::int64_t ms =
        timeout_ns < 0 ? -1 : std::min<std::int64_t>((timeout_ns + 999'999) / 1'000'000, INT_MAX);
    count = epoll_wait(epoll_, events_.data(), kMaxEvents, static_cast<int>(ms));
  }
  count_ = count < 0 ? 0 : count;
  return count >= 0 || errno == EINTR;  // interrupted by a signal: as if the time had passed
}

// By number: older C libraries have no name for it. The kernel's timespec is two 64-bit numbers.
int Poller::wait_precisely(std::int64_t timeout_ns) {
#ifdef SYS_epoll_pwait2
  const std::int64_t timeout[2] = {timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
  return static_cast<int>(
      syscall(SYS_epoll_pwait2, epoll_, events_.data(), kMaxEvents, timeout, nullptr, std::size_t{0}));
#else
  static_cast<void>(timeout_ns);
  errno = ENOSYS;
  return -1;
#endif
}

void Poller::dispatch() {
  for (int i = 0; i < count_; ++i) {
    const epoll_event& event = events_[static_cast<std::size_t>(i)];
    auto fd = static_cast<int>(event.data.u64 & 0xffffffff);
    Watch* watch = entries_[static_cast<std::size_t>(fd)].watch;
    if (watch == nullptr) {
      // Stopped meanwhile; or before, in a process that was forked since: then it would come for ever.
      epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
      continue;
    }
    if (key(fd) != event.data.u64) continue;  // of who had the number before
    watch->on_ready_(watch->self_, (event.events & ~EPOLLOUT) != 0, (event.events & ~EPOLLIN) != 0);
  }
}

std::uint64_t Poller::key(int fd) const {
  auto index = static_cast<std::size_t>(fd);
  return std::uint64_t{entries_[index].generation} << 32 | index;
}

// A forked child shares the epoll itself: what it lets go of, its parent goes on to watch. If it is
// the child that runs the loop, dispatch() makes up for this.
int Poller::remove(int fd) {
  if (getpid() != process_) return 0;
  return epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr) == 0 ? 0 : errno;
}

int Poller::modify(int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key(fd);
  return epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0 ? 0 : errno;
}

int Poller::add(Watch& watch, int fd, std::uint32_t events) {
  if (fd < 0) return EBADF;
  auto index = static_cast<std::size_t>(fd);
  try {
    if (index >= entries_.size()) entries_.resize(index + 1);
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
  Entry& entry = entries_[index];
  Watch* other = entry.watch == &watch ? nullptr : entry.watch;
  ++entry.generation;
  epoll_event event{};
  event.events = events;
  event.data.u64 = key(fd);
  int failed = epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
  if (failed == EEXIST && other == nullptr) {
    failed = modify(fd, events);  // known through a copy of the descriptor that outlived its Watch
  }
  if (failed != 0) {
    --entry.generation;
    return failed;
  }
  // Whoever had the number before has closed it without a word.
  if (other != nullptr) other->fd_ = -1;
  if (entry.watch == nullptr) ++watched_;
  entry.watch = &watch;
  watch.fd_ = fd;
  return 0;
}

void Poller::forget(int fd) {
  Entry& entry = entries_[static_cast<std::size_t>(fd)];
  ++entry.generation;
  entry.watch = nullptr;
  --watched_;
}

}  // namespace fasterapi::net
