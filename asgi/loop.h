// The scheduler under fasterapi.loop.EventLoop: asyncio's callbacks, timers and file-descriptor
// readiness over one net::Loop, in one thread. The stdlib keeps what is built on these.
//
// A turn (_run_once): the loop polls, blocking only when no callback is ready; then the callbacks that
// are ready, by then, run in order; what they schedule waits for the next turn. The GIL is released
// around the blocking poll alone and taken back by the first callback of the batch.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "asgi/all_tasks.h"
#include "asgi/handle.h"
#include "asgi/module.h"
#include "server/net/loop.h"
#include "server/net/poller.h"
#include "server/net/wake.h"

namespace fasterapi::asgi {

class SocketTransport;

class Scheduler {
 public:
  Scheduler(PyObject* self, Module& module);
  ~Scheduler();  // as close()
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  static double time();  // the clock of time.monotonic(), seconds
  // What timers are measured by: time(), or the Python object's own if that is another. -1 with an error set.
  double now() { return clock_replaced_ ? ask_clock() : time(); }
  void set_clock_replaced(bool replaced) { clock_replaced_ = replaced; }

  // False with an error set, in all of these.
  bool run_once();
  Handle* call_soon(PyObject* callback, PyObject* const* arguments, Py_ssize_t count, PyObject* context);
  Handle* call_soon_threadsafe(PyObject* callback, PyObject* const* arguments, Py_ssize_t count,
                               PyObject* context);
  Handle* call_at(double when, PyObject* callback, PyObject* const* arguments, Py_ssize_t count,
                  PyObject* context);
  // A reader or writer of `fd`, which `file` (the number or an object with fileno()) named.
  enum class Event : bool { kRead, kWrite };
  Handle* watch(PyObject* file, int fd, Event event, PyObject* callback, PyObject* const* arguments,
                Py_ssize_t count);
  int unwatch(int fd, Event event);      // 1: there was a callback, 0: none, -1: error set
  int watched_fd(PyObject* file) const;  // -1: none
  // The transports by descriptor, each from its beginning to its end.
  void add_transport(int fd, SocketTransport& transport) { transports_[fd] = &transport; }
  void remove_transport(int fd, SocketTransport& transport);
  SocketTransport* transport_of(int fd) const;  // null: none
  void close();
  // Called once when the loop closes, while its handles can still be closed.
  void add_close_hook(void* self, void (*run)(void*)) { close_hooks_.push_back({self, run}); }
  void remove_close_hook(void* self) {
    std::erase_if(close_hooks_, [self](const CloseHook& hook) { return hook.self == self; });
  }

  void cancel_timer(Handle* handle);
  bool in_turn() const { return running_; }
  int traverse(visitproc visit, void* arg);
  bool closed() const { return closed_; }
  bool stopping() const { return stopping_; }
  void set_stopping(bool stopping) { stopping_ = stopping; }
  void set_debug(bool debug) { debug_ = debug; }
  bool debug() const { return debug_; }
  PyObject* task_factory() const { return task_factory_ ? task_factory_.get() : Py_None; }
  void set_task_factory(PyObject* factory) { task_factory_ = Ref::share(factory); }
  // {"loop": self}, what futures are made with. Borrowed; null with an error set.
  PyObject* loop_keywords();
  net::Loop& loop() { return *loop_; }
  PyObject* self() const { return self_; }
  Module& module() { return module_; }

  // A call_soon() that was not queued.
  struct CaughtCall {
    Ref callback;
    Ref argument;  // or null
    Ref context;
  };

  // Before Python 3.12 a Task's constructor asks for its first step by call_soon(). While a
  // FirstStep is alive, that one call is caught instead, and run() makes the step at once.
  class FirstStep {
   public:
    explicit FirstStep(Scheduler& scheduler) : scheduler_(scheduler) { scheduler_.first_step_ = this; }
    ~FirstStep() {
      release();
      settle(false);
    }
    void release() { scheduler_.first_step_ = nullptr; }
    void run();
    // The step has been taken, or there is none: whether the task goes on.
    void settle(bool goes_on) { scheduler_.first_task_.settle(goes_on); }

   private:
    friend class Scheduler;
    Scheduler& scheduler_;
    CaughtCall call_;
  };
  // The completion of a future asks for the next step of the task that waits for it, in the same way. While
  // a WakeUp is alive that call is caught, and run() makes the step at once. Only for the loop's own
  // callbacks: no task may be in the middle of a step.
  class WakeUp {
   public:
    explicit WakeUp(Scheduler& scheduler) : scheduler_(scheduler) { scheduler_.wake_up_ = this; }
    ~WakeUp() { scheduler_.wake_up_ = nullptr; }
    void run() {
      scheduler_.wake_up_ = nullptr;
      scheduler_.run_caught(call_);
    }

   private:
    friend class Scheduler;
    Scheduler& scheduler_;
    CaughtCall call_;
  };
  // Whether a FirstStep or a WakeUp took what call_soon() was given.
  bool catch_call(PyObject* callback, PyObject* const* arguments, Py_ssize_t count, PyObject* context) {
    if (first_step_ == nullptr && wake_up_ == nullptr) return false;
    return count == 0 ? catch_first_step(callback, context)
                      : count == 1 && catch_wake_up(callback, arguments[0], context);
  }

  // An exception that may not be lost: KeyboardInterrupt or SystemExit from a callback, raised
  // by run_once() when the turn has ended. Others go to the loop's exception handler.
  void report(Handle* handle);
  void stop_with(Ref error);

 private:
  bool catch_first_step(PyObject* callback, PyObject* context);
  bool catch_wake_up(PyObject* callback, PyObject* future, PyObject* context);
  void run_caught(const CaughtCall& call);

  // A file descriptor that Python code watches.
  struct Watcher {
    Watcher(Scheduler& owner, int number)
        : scheduler(owner), fd(number), watch(owner.loop_->poller(), &Scheduler::on_ready, this) {}
    Scheduler& scheduler;
    int fd;
    Ref file;
    Ref reader;  // Handles
    Ref writer;
    net::Watch watch;
  };
  struct CloseHook {
    void* self;
    void (*run)(void*);
  };

  Handle* make(PyObject* type, PyObject* callback, PyObject* const* arguments, Py_ssize_t count,
               PyObject* context);
  bool check(PyObject* callback, const char* method, bool any_thread);
  void run_ready();
  void run_timed(Handle* handle);
  void take_due();
  void sift_up(std::size_t index);
  void sift_down(std::size_t index);
  Handle* remove_timer(std::size_t index);
  double ask_clock();
  std::int64_t longest_wait();
  void take_foreign();
  static void on_ready(void* watcher, bool readable, bool writable);
  void retire(Ref removed);

  PyObject* self_;  // the Python object that owns this one
  Module& module_;
  std::unique_ptr<net::Loop> loop_;
  std::unique_ptr<net::Wake> wake_;
  std::deque<Handle*> ready_;    // owned references
  std::vector<Handle*> timers_;  // a binary heap by (when, sequence), owned references
  std::uint64_t next_sequence_ = 0;
  std::unordered_map<int, Watcher> watchers_;
  std::unordered_map<int, SocketTransport*> transports_;
  std::mutex foreign_mutex_;
  std::vector<Handle*> foreign_;  // from other threads; owned references, guarded by the mutex
  std::atomic<bool> foreign_waits_ = false;
  PyThreadState* released_ = nullptr;  // while the GIL is released around the poll
  unsigned long thread_ = 0;           // the thread of run_once()
  FirstStep* first_step_ = nullptr;
  WakeUp* wake_up_ = nullptr;
  FirstTask first_task_;
  std::vector<CloseHook> close_hooks_;
  Ref error_;
  Ref task_factory_;
  Ref loop_keywords_;
  bool running_ = false;
  bool stopping_ = false;  // after this turn
  bool closed_ = false;
  bool debug_ = false;
  bool clock_replaced_ = false;
};

// The scheduler behind an event loop, or null (no error set) if it is some other loop.
Scheduler* scheduler_of(Module& module, PyObject* loop);

}  // namespace fasterapi::asgi
