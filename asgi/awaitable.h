// What receive() and send() return: awaitables that finish without suspending when there is
// nothing to wait for, and otherwise wait on an asyncio future. They have send/throw/close as
// coroutines do, so that asyncio.create_task() and wait_for() take them too.
#pragma once

#include <vector>

#include "asgi/module.h"
#include "server/base/ledger.h"

namespace fasterapi::asgi {

class Scheduler;

// Tasks that wait for something of one cycle. A member of the cycle.
class Waiters {
 public:
  // A future of `loop` that wake() will complete. Null with an error set.
  Ref add(Module& module, PyObject* loop);
  void remove(PyObject* future);
  // With `stepper`, the first task that waits makes its next step before this returns: for callbacks of
  // that loop, below which no task is in the middle of a step.
  void wake(Module& module, Scheduler* stepper = nullptr);
  bool empty() const { return futures_.empty(); }
  int traverse(visitproc visit, void* arg);
  void clear() { futures_.clear(); }

 private:
  std::vector<Ref> futures_;
};

// Whoever an Awaitable waits for.
class Awaited {
 public:
  // Whether the wait is over. Then `value` is the result, or null with an error set.
  virtual bool poll(Ref& value) = 0;
  virtual Waiters& waiters() = 0;
  virtual PyObject* loop() = 0;

 protected:
  ~Awaited() = default;
};

// Waits until `awaited` is done; `owner` is the Python object that keeps it alive.
PyObject* new_awaitable(Module& module, PyObject* owner, Awaited& awaited);
// Raises `error` (an exception instance) when awaited.
PyObject* new_failed_awaitable(Module& module, Ref error);

}  // namespace fasterapi::asgi
