// Readiness of file descriptors that others own, for the event loop's add_reader and add_writer.
// An epoll of its own, watched by libuv as one descriptor: libuv tells the kernel what it watches
// only when it polls, and ends the process when a descriptor was closed meanwhile; here epoll_ctl
// runs, and fails, in the caller's own call. Never changes a descriptor's flags.
#pragma once

#include <memory>

#include "server/net/loop.h"

struct uv_poll_s;

namespace fasterapi::net {

class Readiness {
 public:
  // `readable` and `writable` are both true for an error or a hang-up: the reader's and the
  // writer's own system call names it. May call watch().
  using OnReady = void (*)(void* owner, int fd, bool readable, bool writable);

  Readiness(Loop& loop, void* owner, OnReady on_ready);
  ~Readiness();

  // What is watched of `fd` from now on, until told otherwise. Returns 0 or the positive errno.
  int watch(int fd, bool read, bool write);

 private:
  int open();
  void poll();

  Loop& loop_;
  void* owner_;
  OnReady on_ready_;
  int epoll_ = -1;               // made by the first watch()
  uv_poll_s* handle_ = nullptr;  // owns itself: freed by the callback of uv_close
};

}  // namespace fasterapi::net
