// A listening socket. Accepts in the loop's own thread only, so that a worker that is busy leaves
// connections in the kernel's queue, where another worker can take them.
#pragma once

#include <functional>
#include <memory>

#include "server/base/failure.h"
#include "server/base/ledger.h"
#include "server/net/loop.h"
#include "server/net/tcp_stream.h"
#include "server/net/timer.h"

namespace fasterapi::net {

class Listener {
 public:
  using OnStream = std::function<void(std::unique_ptr<Stream>)>;
  // No descriptor or no memory for a connection that waits (the positive errno): it goes on waiting,
  // and is accepted when a descriptor was freed, or a moment later.
  using OnScarcity = std::function<void(int error)>;

  // Takes over `fd`, a bound stream socket of family AF_INET, AF_INET6 or AF_UNIX, also when it fails.
  // The failure's status is the positive errno.
  static base::Result<std::unique_ptr<Listener>> open(Loop& loop, int fd, int backlog, OnStream on_stream,
                                                      OnScarcity on_scarcity);
  ~Listener();  // closes the socket; connections that were accepted go on

  // Leaves connections in the kernel's queue, until release().
  void hold();
  void release();

 private:
  Listener(Loop& loop, int fd, Address::Family family, OnStream on_stream, OnScarcity on_scarcity);
  void accept_some();
  void pause();
  void resume();

  Loop& loop_;
  int fd_;
  Address::Family family_;
  OnStream on_stream_;
  OnScarcity on_scarcity_;
  Watch watch_;
  Deadline try_again_;
  Deferred freed_;
  bool held_ = false;
  base::Ledger::Entry entry_;
};

}  // namespace fasterapi::net
