#include "asgi/loop.h"

#include <uv.h>

#include <cmath>
#include <ctime>

namespace fasterapi::asgi {

struct Scheduler::Handles {
  uv_async_t wake;
  uv_timer_t timer;
};

// A file descriptor that Python code watches. Freed by the callback of uv_close.
struct Scheduler::Watcher {
  uv_poll_t poll;
  Scheduler* scheduler;
  int fd;
  Handle* reader = nullptr;  // owned
  Handle* writer = nullptr;  // owned
  ~Watcher() {
    Py_XDECREF(reader);
    Py_XDECREF(writer);
  }
};

namespace {

// libuv's timers count whole milliseconds; a year is as good as for ever and fits.
constexpr double kLongestTimerMs = 366.0 * 24 * 3600 * 1000;

void release_all(auto& handles) {
  auto taken = std::exchange(handles, {});
  for (Handle* handle : taken) Py_DECREF(handle);
}

}  // namespace

Scheduler::Scheduler(PyObject* self, Module& module)
    : self_(self), module_(module), handles_(std::make_unique<Handles>()) {
  net::LoopHooks hooks;
  hooks.owner = this;
  // What was put off to the end of the turn may have scheduled callbacks.
  hooks.has_work = [](void* owner) { return !static_cast<Scheduler*>(owner)->ready_.empty(); };
  hooks.before_poll = [](void* owner) { static_cast<Scheduler*>(owner)->released_ = PyEval_SaveThread(); };
  hooks.after_poll = [](void* owner) {
    PyEval_RestoreThread(std::exchange(static_cast<Scheduler*>(owner)->released_, nullptr));
  };
  loop_ = std::make_unique<net::Loop>(hooks, module.ledger);
  uv_async_init(loop_->uv(), &handles_->wake, [](uv_async_t* async) {
    auto* scheduler = static_cast<Scheduler*>(async->data);
    scheduler->loop_->enter();
    scheduler->on_wake();
  });
  handles_->wake.data = this;
  uv_timer_init(loop_->uv(), &handles_->timer);
  handles_->timer.data = this;
}

Scheduler::~Scheduler() { close(); }

void Scheduler::close() {
  {
    std::lock_guard lock(foreign_mutex_);
    if (closed_) return;
    closed_ = true;
  }
  release_all(ready_);
  release_all(foreign_);
  for (Handle* handle : timers_) handle->scheduler = nullptr;
  release_all(timers_);
  for (auto& hook : std::exchange(close_hooks_, {})) hook.run(hook.self);
  while (!watchers_.empty()) let_go(*watchers_.begin()->second);
  loop_.reset();  // waits until libuv has let go of every handle
}

double Scheduler::time() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// --- Callbacks -----------------------------------------------------------------------------

bool Scheduler::check(PyObject* callback, const char* method, bool any_thread) {
  if (closed_) {
    PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return false;
  }
  if (!debug_) return true;
  if (!any_thread && !call_method(self_, module_.names._check_thread)) return false;
  Ref name = Ref::steal(PyUnicode_FromString(method));
  if (!name) return false;
  return static_cast<bool>(Ref::steal(
      PyObject_CallMethodObjArgs(self_, module_.names._check_callback, callback, name.get(), nullptr)));
}

Handle* Scheduler::make(PyObject* type, PyObject* callback, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* context) {
  Handle* handle = new_handle(module_, type, callback, arguments, count, context);
  if (handle == nullptr || !debug_) return handle;
  Ref frame = Ref::share(reinterpret_cast<PyObject*>(PyEval_GetFrame()));
  Ref traceback = Ref::steal(PyObject_CallOneArg(module_.extract_stack.get(), frame ? frame.get() : Py_None));
  if (traceback) {
    handle->source_traceback = traceback.release();
  } else {
    PyErr_Clear();
  }
  return handle;
}

Handle* Scheduler::call_soon(PyObject* callback, PyObject* const* arguments, Py_ssize_t count,
                             PyObject* context) {
  if (!check(callback, "call_soon", false)) return nullptr;
  Handle* handle = make(module_.handle_type.get(), callback, arguments, count, context);
  if (handle == nullptr) return nullptr;
  Py_INCREF(handle);  // one reference for the queue, one for the caller
  if (first_step_ != nullptr) {
    first_step_->handle_ = Ref::steal(reinterpret_cast<PyObject*>(handle));
    first_step_ = nullptr;
  } else {
    ready_.push_back(handle);
  }
  return handle;
}

void Scheduler::FirstStep::run() {
  if (!handle_) return;
  auto* handle = reinterpret_cast<Handle*>(handle_.get());
  if (!run_handle(handle)) scheduler_.report(handle);
}

Handle* Scheduler::call_soon_threadsafe(PyObject* callback, PyObject* const* arguments, Py_ssize_t count,
                                        PyObject* context) {
  if (!check(callback, "call_soon_threadsafe", true)) return nullptr;
  Handle* handle = make(module_.handle_type.get(), callback, arguments, count, context);
  if (handle == nullptr) return nullptr;
  Py_INCREF(handle);
  if (running_ && PyThread_get_thread_ident() == thread_) {
    ready_.push_back(handle);
    return handle;
  }
  std::lock_guard lock(foreign_mutex_);
  if (closed_) {
    Py_DECREF(handle);
    Py_DECREF(handle);
    PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return nullptr;
  }
  foreign_.push_back(handle);
  uv_async_send(&handles_->wake);
  return handle;
}

void Scheduler::on_wake() {
  std::lock_guard lock(foreign_mutex_);
  ready_.insert(ready_.end(), foreign_.begin(), foreign_.end());
  foreign_.clear();
}

// --- The turn ------------------------------------------------------------------------------

bool Scheduler::run_once() {
  if (closed_) {
    PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return false;
  }
  if (running_) {
    PyErr_SetString(PyExc_RuntimeError, "This event loop is already running");
    return false;
  }
  running_ = true;
  thread_ = PyThread_get_thread_ident();
  run_ready();
  if (!error_) {
    bool block = ready_.empty() && !wants_to_stop();
    loop_->run(block ? net::RunMode::kOnce : net::RunMode::kNoWait);
    loop_->enter();
  }
  running_ = false;
  if (!error_) return true;
  give_error(std::move(error_));
  return false;
}

bool Scheduler::wants_to_stop() {
  Ref stopping = Ref::steal(PyObject_GetAttr(self_, module_.names._stopping));
  if (!stopping) PyErr_Clear();
  return stopping && stopping.get() != Py_False;
}

// What the callbacks schedule runs in the next turn, so that I/O is never starved.
void Scheduler::run_ready() {
  for (std::size_t left = ready_.size(); left > 0 && !error_; --left) {
    Handle* handle = ready_.front();
    ready_.pop_front();
    if (debug_) {
      run_timed(handle);
    } else if (!run_handle(handle)) {
      report(handle);
    }
    if (!handle->repeats) drop_callback(handle);
    Py_DECREF(handle);
  }
}

void Scheduler::run_timed(Handle* handle) {
  double began = time();
  Ref text;
  if (!run_handle(handle)) report(handle);
  double took = time() - began;
  ErrorKept kept;
  Ref limit = Ref::steal(PyObject_GetAttr(self_, module_.names.slow_callback_duration));
  double limit_seconds = limit ? PyFloat_AsDouble(limit.get()) : -1;
  if (!PyErr_Occurred() && took >= limit_seconds) {
    text = Ref::steal(PyObject_CallOneArg(module_.format_handle.get(), reinterpret_cast<PyObject*>(handle)));
    Ref seconds = Ref::steal(PyFloat_FromDouble(took));
    Ref format = Ref::steal(PyUnicode_FromString("Executing %s took %.3f seconds"));
    if (text && seconds && format) {
      Ref::steal(PyObject_CallMethodObjArgs(module_.asyncio_logger.get(), module_.names.warning, format.get(),
                                            text.get(), seconds.get(), nullptr));
    }
  }
  if (PyErr_Occurred()) PyErr_WriteUnraisable(self_);
}

void Scheduler::stop_with(Ref error) {
  if (!error_) error_ = std::move(error);
}

void Scheduler::report(Handle* handle) {
  bool fatal = PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) || PyErr_ExceptionMatches(PyExc_SystemExit);
  Ref error = take_error();
  if (fatal) return stop_with(std::move(error));
  Ref context = Ref::steal(PyDict_New());
  Ref text = Ref::steal(PyObject_Repr(reinterpret_cast<PyObject*>(handle)));
  if (!text) PyErr_Clear();
  Ref message = Ref::steal(text ? PyUnicode_FromFormat("Exception in callback %U", text.get())
                                : PyUnicode_FromString("Exception in callback"));
  const Names& names = module_.names;
  if (context && message && PyDict_SetItem(context.get(), names.message, message.get()) == 0 &&
      PyDict_SetItem(context.get(), names.exception, error.get()) == 0 &&
      PyDict_SetItem(context.get(), names.handle, reinterpret_cast<PyObject*>(handle)) == 0 &&
      (handle->source_traceback == nullptr ||
       PyDict_SetItem(context.get(), names.source_traceback, handle->source_traceback) == 0)) {
    if (call_method(self_, names.call_exception_handler, context.get())) return;
  }
  // call_exception_handler lets only KeyboardInterrupt and SystemExit through.
  if (PyErr_Occurred()) stop_with(take_error());
}

// --- Timers --------------------------------------------------------------------------------

namespace {
bool sooner(const Handle* a, const Handle* b) {
  return a->when != b->when ? a->when < b->when : a->sequence < b->sequence;
}
}  // namespace

Handle* Scheduler::call_at(double when, PyObject* callback, PyObject* const* arguments, Py_ssize_t count,
                           PyObject* context) {
  if (!check(callback, "call_at", false)) return nullptr;
  Handle* handle = make(module_.timer_handle_type.get(), callback, arguments, count, context);
  if (handle == nullptr) return nullptr;
  handle->when = when;
  handle->sequence = next_sequence_++;
  handle->scheduler = this;
  handle->heap_index = timers_.size();
  timers_.push_back(reinterpret_cast<Handle*>(Py_NewRef(reinterpret_cast<PyObject*>(handle))));
  sift_up(handle->heap_index);
  if (timers_.front() == handle) arm_timer();
  return handle;
}

void Scheduler::cancel_timer(Handle* handle) {
  // The libuv timer stays as it is: firing once for nothing is cheaper than moving it each time.
  Py_DECREF(remove_timer(handle->heap_index));
}

// Never early: the fire time is rounded up, and on_timer() looks at the precise clock.
void Scheduler::arm_timer() {
  double when = timers_.front()->when;
  if (armed_for_ != 0 && armed_for_ <= when) return;
  double wait = std::ceil((when - time()) * 1000);
  wait = wait > 0 ? wait : 0;  // also when `when` is not a number
  wait = wait < kLongestTimerMs ? wait : kLongestTimerMs;
  armed_for_ = when != 0 ? when : -1;
  uv_update_time(loop_->uv());
  uv_timer_start(
      &handles_->timer,
      [](uv_timer_t* timer) {
        auto* scheduler = static_cast<Scheduler*>(timer->data);
        scheduler->loop_->enter();
        scheduler->on_timer();
      },
      static_cast<std::uint64_t>(wait), 0);
}

void Scheduler::on_timer() {
  armed_for_ = 0;
  double now = time();
  while (!timers_.empty() && !(timers_.front()->when > now)) ready_.push_back(remove_timer(0));
  if (!timers_.empty()) arm_timer();
}

Handle* Scheduler::remove_timer(std::size_t index) {
  Handle* removed = timers_[index];
  Handle* last = timers_.back();
  timers_.pop_back();
  removed->scheduler = nullptr;
  if (removed != last) {
    timers_[index] = last;
    last->heap_index = index;
    sift_up(index);
    sift_down(last->heap_index);
  }
  return removed;
}

void Scheduler::sift_up(std::size_t index) {
  Handle* handle = timers_[index];
  while (index > 0) {
    std::size_t parent = (index - 1) / 2;
    if (!sooner(handle, timers_[parent])) break;
    timers_[index] = timers_[parent];
    timers_[index]->heap_index = index;
    index = parent;
  }
  timers_[index] = handle;
  handle->heap_index = index;
}

void Scheduler::sift_down(std::size_t index) {
  Handle* handle = timers_[index];
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= timers_.size()) break;
    if (child + 1 < timers_.size() && sooner(timers_[child + 1], timers_[child])) ++child;
    if (!sooner(timers_[child], handle)) break;
    timers_[index] = timers_[child];
    timers_[index]->heap_index = index;
    index = child;
  }
  timers_[index] = handle;
  handle->heap_index = index;
}

// --- File descriptors ----------------------------------------------------------------------

Handle* Scheduler::watch(int fd, int event, PyObject* callback, PyObject* const* arguments,
                         Py_ssize_t count) {
  if (!check(callback, "add_reader", false)) return nullptr;
  std::unique_ptr<Watcher>& slot = watchers_[fd];
  if (slot == nullptr) {
    auto watcher = std::make_unique<Watcher>();
    int failed = uv_poll_init(loop_->uv(), &watcher->poll, fd);
    if (failed != 0) {
      watchers_.erase(fd);
      errno = -failed;
      PyErr_SetFromErrno(PyExc_OSError);
      return nullptr;
    }
    watcher->scheduler = this;
    watcher->fd = fd;
    watcher->poll.data = watcher.get();
    slot = std::move(watcher);
  }
  Watcher& watcher = *slot;
  Handle* handle = make(module_.handle_type.get(), callback, arguments, count, nullptr);
  if (handle != nullptr) {
    handle->repeats = true;
    Handle*& place = event == UV_READABLE ? watcher.reader : watcher.writer;
    Ref replaced = Ref::steal(reinterpret_cast<PyObject*>(std::exchange(place, handle)));
    if (replaced) {
      reinterpret_cast<Handle*>(replaced.get())->cancelled = true;
      drop_callback(reinterpret_cast<Handle*>(replaced.get()));
    }
    Py_INCREF(handle);
  }
  update(watcher);
  return handle;
}

int Scheduler::unwatch(int fd, int event) {
  auto found = watchers_.find(fd);
  if (found == watchers_.end()) return 0;
  Watcher& watcher = *found->second;
  Handle*& place = event == UV_READABLE ? watcher.reader : watcher.writer;
  Ref removed = Ref::steal(reinterpret_cast<PyObject*>(std::exchange(place, nullptr)));
  update(watcher);
  if (!removed) return 0;
  auto* handle = reinterpret_cast<Handle*>(removed.get());
  handle->cancelled = true;
  drop_callback(handle);
  return 1;
}

// Tells libuv what is watched now; lets go of the watcher when that is nothing.
void Scheduler::update(Watcher& watcher) {
  int events = (watcher.reader != nullptr ? UV_READABLE : 0) | (watcher.writer != nullptr ? UV_WRITABLE : 0);
  if (events != 0) {
    uv_poll_start(&watcher.poll, events, [](uv_poll_t* poll, int status, int happened) {
      auto* self = static_cast<Watcher*>(poll->data);
      self->scheduler->loop_->enter();
      self->scheduler->on_poll(*self, status, happened);
    });
    return;
  }
  let_go(watcher);
}

void Scheduler::let_go(Watcher& watcher) {
  auto found = watchers_.find(watcher.fd);
  Watcher* released = found->second.release();
  watchers_.erase(found);
  uv_close(reinterpret_cast<uv_handle_t*>(&released->poll), [](uv_handle_t* handle) {
    static_cast<net::Loop*>(handle->loop->data)->enter();
    delete static_cast<Watcher*>(handle->data);
  });
}

void Scheduler::on_poll(Watcher& watcher, int status, int events) {
  // A broken descriptor is ready for both: the callback's own system call names the error.
  if (status < 0) {
    events = UV_READABLE | UV_WRITABLE;
    update(watcher);  // libuv has stopped watching it
  }
  for (auto [handle, event] :
       {std::pair(watcher.reader, UV_READABLE), std::pair(watcher.writer, UV_WRITABLE)}) {
    if (handle == nullptr || (events & event) == 0) continue;
    if (handle->cancelled) {
      unwatch(watcher.fd, event);
      return;  // the watcher may be gone; what else is ready comes up again in the next turn
    }
    ready_.push_back(reinterpret_cast<Handle*>(Py_NewRef(reinterpret_cast<PyObject*>(handle))));
  }
}

}  // namespace fasterapi::asgi
