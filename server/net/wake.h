// Ends a loop's poll from another thread.
#pragma once

#include <atomic>

#include "server/net/poller.h"

namespace fasterapi::net {

class Wake {
 public:
  using OnWake = void (*)(void* self);

  // `on_wake` is called in the loop's thread. Throws std::system_error.
  Wake(Poller& poller, OnWake on_wake, void* self);
  ~Wake();
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;

  // From any thread, as long as this object lives. Several calls before the loop has woken are one.
  void send();

 private:
  void on_ready();

  OnWake on_wake_;
  void* self_;
  int fd_;
  std::atomic<bool> sent_ = false;
  Watch watch_;
};

}  // namespace fasterapi::net
