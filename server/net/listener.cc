#include "server/net/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

namespace fasterapi::net {

namespace {

// Connections accepted in one turn before those that are open have theirs.
constexpr int kMaxAccepts = 64;

// How long to leave connections in the kernel's queue when there is no descriptor for them.
constexpr std::chrono::milliseconds kPause{100};

base::Failure system_failure(int error, const char* what) {
  return {error, std::string(what) + ": " + error_text(error)};
}

// A number that is not one of the standard descriptors, which whoever prints would write to.
int above_standard(int fd) {
  if (fd < 0 || fd > STDERR_FILENO) return fd;
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  int error = errno;
  close(fd);
  errno = error;
  return moved;
}

}  // namespace

base::Result<std::unique_ptr<Listener>> Listener::open(Loop& loop, int fd, int backlog, OnStream on_stream,
                                                       OnScarcity on_scarcity) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    int error = errno;
    close(fd);
    return system_failure(error, "getsockname");
  }
  hold_standard_descriptors();
  Address::Family family = bound.ss_family == AF_UNIX ? Address::Family::kUnix : Address::Family::kInet;
  std::unique_ptr<Listener> listener(
      new Listener(loop, fd, family, std::move(on_stream), std::move(on_scarcity)));
  // Accepted sockets inherit it (Linux). Answers leave in whole writes: waiting for more
  // to send with them (Nagle) would only delay the small pieces of a stream.
  int on = 1;
  if (family == Address::Family::kInet) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0) return system_failure(errno, "open");
  if (listen(fd, backlog) != 0) return system_failure(errno, "listen");
  if (int error = listener->watch_.share(fd); error != 0) return system_failure(error, "listen");
  return listener;
}

Listener::Listener(Loop& loop, int fd, Address::Family family, OnStream on_stream, OnScarcity on_scarcity)
    : loop_(loop),
      fd_(fd),
      family_(family),
      on_stream_(std::move(on_stream)),
      on_scarcity_(std::move(on_scarcity)),
      watch_(
          loop.poller(),
          [](void* self, bool, bool) { contain([self] { static_cast<Listener*>(self)->accept_some(); }); },
          this),
      try_again_(
          loop.wheel(), [](void* self) { static_cast<Listener*>(self)->resume(); }, this),
      entry_(loop.ledger(), base::Kind::kListener) {
  freed_ = {[](void* self) { static_cast<Listener*>(self)->resume(); }, this};
}

Listener::~Listener() {
  loop_.forget(freed_);
  watch_.stop();
  close(fd_);
}

void Listener::accept_some() {
  bool accepted = false;
  for (int i = 0; i < kMaxAccepts && !held_; ++i) {
    int fd = above_standard(accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd >= 0) {
      accepted = true;
      on_stream_(std::make_unique<TcpStream>(loop_, fd, family_));
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != ECONNABORTED && errno != EINTR && errno != EPROTO && errno != EPERM) {
      return pause();  // no descriptors or no memory; those named are faults of one connection
    }
  }
  // The next connection is another process's turn, if one waits: those that stay open would all be ours.
  if (accepted) resume();
}

void Listener::pause() {
  const int error = errno;
  watch_.stop();
  loop_.when_descriptor_freed(freed_);
  try_again_.arm(kPause);
  on_scarcity_(error);
}

void Listener::hold() {
  held_ = true;
  watch_.stop();
}

void Listener::release() {
  held_ = false;
  resume();
}

void Listener::resume() {
  if (held_) return;
  loop_.forget(freed_);
  try_again_.disarm();
  if (watch_.share(fd_) != 0) try_again_.arm(kPause);
}

}  // namespace fasterapi::net
