// A loop of the server's own, run inside somebody else's asyncio loop: its descriptor is watched by
// add_reader, its next timer by call_later. Work that is put off and timers that are started outside a
// turn ask for one.
#pragma once

#include <memory>

#include "asgi/module.h"
#include "server/net/loop.h"

namespace fasterapi::asgi {

class NestedLoop {
 public:
  // `owner`: the Python object that this one is a part of.
  NestedLoop(Module& module, PyObject* asyncio_loop, PyObject* owner);
  ~NestedLoop();

  // Begins to watch; `pump` is a callable that calls pump(). False with an error set.
  bool open(Ref pump);
  void close();  // idempotent
  // Runs what is due in the loop. False with an error set.
  bool pump();
  net::Loop& loop() { return *loop_; }
  int traverse(visitproc visit, void* arg) const;

 private:
  void on_changed();

  Module& module_;
  PyObject* owner_;
  Ref asyncio_loop_;
  Ref pump_;
  Ref timer_;
  std::unique_ptr<net::Loop> loop_;
  bool dirty_ = false;
  bool scheduled_ = false;
};

}  // namespace fasterapi::asgi
