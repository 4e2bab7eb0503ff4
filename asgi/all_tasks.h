// asyncio's set of all tasks, before Python 3.12 a WeakSet: entered and left without Python frames, and
// by most of an application's tasks not at all. Later versions have other means; nothing is done there.
#pragma once

#include "asgi/module.h"

namespace fasterapi::asgi {

// Every Task enters asyncio.tasks._all_tasks, whose add() and whose callback at a task's death are Python
// code: a tenth of what a short request costs. Gives that one set an add() of its own that does the same
// natively, once for the interpreter. False with an error set.
bool quicken_all_tasks(Module& module);

// A loop's one task that is taking its first step. One entry of the loop's stands for it in the set, so
// that only a task which outlives that step costs a weak reference. Owned by the Scheduler.
class FirstTask {
 public:
  FirstTask() = default;
  ~FirstTask() { close(); }
  FirstTask(const FirstTask&) = delete;
  FirstTask& operator=(const FirstTask&) = delete;

  void expect(Module& module);  // the next task to enter the set, in this thread, is the one
  void forget();                // none is expected any more
  // The step has been taken. A task that goes on enters the set now; an error is reported.
  void settle(bool goes_on);
  // The task entered the set: whether this object stands for it from now on.
  bool take(PyObject* task);
  void close();  // the entry leaves the set

 private:
  bool open(Module& module);

  Module* module_ = nullptr;         // once open
  Ref entry_;                        // in the set: a callable, as weak references are
  PyObject** task_ = nullptr;        // the entry's, borrowed from whoever steps it; null between steps
  PyThreadState* thread_ = nullptr;  // who expects one
};

}  // namespace fasterapi::asgi
