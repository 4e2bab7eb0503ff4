// One run of the application: a coroutine object that calls app(scope, receive, send), passes
// every step on to what that returned, and tells its owner when it ends, with the exception as a
// value. asyncio.Task drives it, so current_task(), timeout() and anyio work as ever.
#pragma once

#include "asgi/module.h"

namespace fasterapi::asgi {

class Scheduler;
struct Run;

class RunOwner {
 public:
  // The application returned (`error` null) or raised. Called once, in the task, in its context.
  virtual void on_run_end(PyObject* error) = 0;

 protected:
  ~RunOwner() = default;
};

// Is offered what a run that outlived its first step was started with: the run has ended, and lets go of what
// is not taken.
class RunKeeper {
 public:
  virtual void on_run_over(Ref& owner_object, Ref& receive, Ref& send) = 0;

 protected:
  ~RunKeeper() = default;
};

// The runs that have not ended; a doubly linked list through them. Owned by the application.
class Runs {
 public:
  explicit Runs(RunKeeper& keeper) : keeper_(keeper) {}
  ~Runs() { release(); }
  // Lets go of the tasks: their loop has closed, and nobody will step them again.
  void release();
  int traverse(visitproc visit, void* arg) const;
  Ref tasks() const;  // a new list of asyncio.Task; null with an error set
  bool empty() const { return first_ == nullptr; }
  // A coroutine object that was used and is nobody else's any more, in the tuple that a Task's
  // constructor takes; null where there is none.
  Ref take_spare() { return std::move(spare_); }
  void keep_spare(Ref arguments) { spare_ = std::move(arguments); }
  std::size_t size() const { return size_; }
  RunKeeper& keeper() const { return keeper_; }

 private:
  friend struct Run;
  RunKeeper& keeper_;
  Run* first_ = nullptr;
  Ref spare_;
  std::size_t size_ = 0;
};

struct StartOptions {
  PyObject* loop;
  Scheduler* scheduler;    // null: the loop is not ours
  PyObject* task_factory;  // what loop.set_task_factory() was given, or None
  PyObject* context;       // the run gets a copy of it
  PyObject* keywords;      // what task_keywords() made for that loop
  bool eager;              // take the first step at once
};

// Keyword arguments for the tasks of one loop, to be used again for each. Null with an error set.
Ref task_keywords(Module& module, PyObject* loop);

// Starts a run in a task of its own. `owner_object` keeps `owner` alive until on_run_end().
// False with an error set: then on_run_end() is not called.
bool start_run(Module& module, const StartOptions& options, Runs& runs, PyObject* app, Ref scope, Ref receive,
               Ref send, PyObject* owner_object, RunOwner& owner);

}  // namespace fasterapi::asgi
