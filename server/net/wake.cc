#include "server/net/wake.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace fasterapi::net {

Wake::Wake(Poller& poller, OnWake on_wake, void* self)
    : on_wake_(on_wake),
      self_(self),
      fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      watch_(
          poller, [](void* wake, bool, bool) { static_cast<Wake*>(wake)->on_ready(); }, this) {
  int error = fd_ < 0 ? errno : watch_.set(fd_, true, false);
  if (error == 0) return;
  if (fd_ >= 0) close(fd_);
  throw std::system_error(error, std::generic_category(), "eventfd");
}

Wake::~Wake() {
  watch_.stop();
  close(fd_);
}

void Wake::send() {
  if (sent_.exchange(true)) return;
  const std::uint64_t one = 1;
  // Fails only when somebody has closed the descriptor under us.
  if (write(fd_, &one, sizeof one) < 0) sent_ = false;
}

void Wake::on_ready() {
  std::uint64_t count = 0;
  if (read(fd_, &count, sizeof count) < 0 && errno != EAGAIN) watch_.stop();
  sent_ = false;  // before what was sent is looked for: what comes later sends again
  on_wake_(self_);
}

}  // namespace fasterapi::net
