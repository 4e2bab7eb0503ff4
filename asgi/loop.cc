#include "asgi/loop.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>

namespace fasterapi::asgi {

namespace {

// Slept for at most, in seconds: as good as for ever, and its nanoseconds fit.
constexpr double kLongestSleep = 24 * 3600;

// A daemon thread that comes back from its poll while the interpreter ends must not run on. CPython
// before 3.14 ends it by unwinding, which our frames do not survive.
void wait_for_ever_if_finalizing() {
#if PY_VERSION_HEX >= 0x030D0000
  bool finalizing = Py_IsFinalizing() != 0;
#else
  bool finalizing = _Py_IsFinalizing() != 0;
#endif
  if (!finalizing) return;
  for (;;) pause();
}

void release_all(auto& handles) {
  auto taken = std::exchange(handles, {});
  for (Handle* handle : taken) Py_DECREF(handle);
}

}  // namespace

Scheduler::Scheduler(PyObject* self, Module& module) : self_(self), module_(module) {
  net::LoopHooks hooks;
  hooks.owner = this;
  // Asked right before the poll: what was put off to the end of the turn may have scheduled callbacks.
  hooks.longest_wait = [](void* owner) { return static_cast<Scheduler*>(owner)->longest_wait(); };
  hooks.before_poll = [](void* owner) { static_cast<Scheduler*>(owner)->released_ = PyEval_SaveThread(); };
  hooks.after_poll = [](void* owner) {
    wait_for_ever_if_finalizing();
    PyEval_RestoreThread(std::exchange(static_cast<Scheduler*>(owner)->released_, nullptr));
  };
  // While the poll blocks, only another thread can have put work off.
  hooks.changed = [](void* owner) {
    auto* scheduler = static_cast<Scheduler*>(owner);
    if (scheduler->released_ != nullptr) scheduler->wake_->send();
  };
  loop_ = std::make_unique<net::Loop>(hooks, module.ledger);
  wake_ = std::make_unique<net::Wake>(
      loop_->poller(), [](void* owner) { static_cast<Scheduler*>(owner)->take_foreign(); }, this);
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
  loop_keywords_.reset();
  first_task_.close();
  // One by one: what a hook lets go of may take its own hook back.
  while (!close_hooks_.empty()) {
    const CloseHook hook = close_hooks_.front();
    close_hooks_.erase(close_hooks_.begin());
    hook.run(hook.self);
  }
  auto watchers = std::exchange(watchers_, {});
  watchers.clear();
  wake_.reset();
  loop_.reset();
}

PyObject* Scheduler::loop_keywords() {
  if (loop_keywords_) return loop_keywords_.get();
  Ref made = Ref::steal(PyDict_New());
  if (!made || PyDict_SetItem(made.get(), module_.names.loop, self_) != 0) return nullptr;
  loop_keywords_ = std::move(made);
  return loop_keywords_.get();
}

double Scheduler::time() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double Scheduler::ask_clock() {
  Ref seconds = call_method(self_, module_.names.time);
  return seconds ? PyFloat_AsDouble(seconds.get()) : -1;
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
  if (foreign_waits_) take_foreign();
  ready_.push_back(handle);
  return handle;
}

bool Scheduler::catch_first_step(PyObject* callback, PyObject* context) {
  if (first_step_ == nullptr || context == nullptr) return false;
  first_step_->call_ = {Ref::share(callback), Ref(), Ref::share(context)};
  first_step_ = nullptr;
  first_task_.expect(module_);  // right after this call the Task's constructor enters it in asyncio's set
  return true;
}

bool Scheduler::catch_wake_up(PyObject* callback, PyObject* future, PyObject* context) {
  if (wake_up_ == nullptr || context == nullptr || debug_) return false;
  wake_up_->call_ = {Ref::share(callback), Ref::share(future), Ref::share(context)};
  wake_up_ = nullptr;
  return true;
}

void Scheduler::FirstStep::run() { scheduler_.run_caught(call_); }

// In its context, which nobody is in: a copy made for the task.
void Scheduler::run_caught(const CaughtCall& call) {
  if (!call.callback) return;
  PyObject* argument = call.argument.get();
  const std::size_t count = argument == nullptr ? 0 : 1;
  bool entered = PyContext_Enter(call.context.get()) == 0;
  if (entered && Ref::steal(PyObject_Vectorcall(call.callback.get(), &argument, count, nullptr))) {
    PyContext_Exit(call.context.get());
    return;
  }
  Ref error = take_error();
  if (entered) PyContext_Exit(call.context.get());
  Handle* handle = make(module_.handle_type.get(), call.callback.get(), &argument,
                        static_cast<Py_ssize_t>(count), call.context.get());
  if (handle == nullptr) return stop_with(std::move(error));
  give_error(std::move(error));
  report(handle);
  Py_DECREF(handle);
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
  foreign_waits_ = true;
  wake_->send();
  return handle;
}

// What other threads have scheduled keeps its place before what is scheduled from here on.
void Scheduler::take_foreign() {
  std::lock_guard lock(foreign_mutex_);
  foreign_waits_ = false;
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
  if (foreign_waits_) take_foreign();
  bool block = ready_.empty() && !stopping_;
  if (!loop_->run(block ? net::RunMode::kOnce : net::RunMode::kNoWait)) {
    PyErr_SetString(PyExc_OSError, net::kCannotPoll);
    stop_with(take_error());
  }
  take_due();
  if (!error_) run_ready();
  running_ = false;
  if (!error_) return true;
  give_error(std::move(error_));
  return false;
}

std::int64_t Scheduler::longest_wait() {
  if (!ready_.empty() || error_ || stopping_) return 0;
  if (timers_.empty()) return -1;
  const double when = timers_.front()->when;
  double left = when - now();
  if (clock_replaced_) {  // Python code has run
    if (PyErr_Occurred()) stop_with(take_error());
    if (!ready_.empty() || error_ || stopping_) return 0;
  }
  if (!(left > 0)) return 0;  // also when it is not a number
  return static_cast<std::int64_t>(std::ceil(std::min(left, kLongestSleep) * 1e9));
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
    Ref logger = Ref::steal(PyObject_GetAttr(module_.base_events.get(), module_.names.logger));
    Ref seconds = Ref::steal(PyFloat_FromDouble(took));
    Ref format = Ref::steal(PyUnicode_FromString("Executing %s took %.3f seconds"));
    if (text && logger && seconds && format) {
      Ref::steal(PyObject_CallMethodObjArgs(logger.get(), module_.names.warning, format.get(), text.get(),
                                            seconds.get(), nullptr));
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
  Ref text = describe(handle);
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
  return handle;
}

void Scheduler::cancel_timer(Handle* handle) { Py_DECREF(remove_timer(handle->heap_index)); }

void Scheduler::take_due() {
  if (timers_.empty()) return;
  double now = this->now();
  if (clock_replaced_ && PyErr_Occurred()) return stop_with(take_error());
  while (!timers_.empty() && !(timers_.front()->when > now)) ready_.push_back(remove_timer(0));
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

Handle* Scheduler::watch(PyObject* file, int fd, Event event, PyObject* callback, PyObject* const* arguments,
                         Py_ssize_t count) {
  if (!check(callback, "add_reader", true)) return nullptr;
  Ref handle = Ref::steal(
      reinterpret_cast<PyObject*>(make(module_.handle_type.get(), callback, arguments, count, nullptr)));
  if (!handle) return nullptr;
  auto* added = reinterpret_cast<Handle*>(handle.get());
  added->repeats = true;
  Watcher& watcher = watchers_.try_emplace(fd, *this, fd).first->second;
  Ref replaced = std::exchange(event == Event::kRead ? watcher.reader : watcher.writer, handle);
  int error = watcher.watch.set(fd, static_cast<bool>(watcher.reader), static_cast<bool>(watcher.writer));
  if (error != 0) {
    watchers_.erase(fd);
    errno = error;
    PyErr_SetFromErrno(PyExc_OSError);
    return nullptr;
  }
  watcher.file = Ref::share(file);
  // Last, because what goes with it may call us.
  retire(std::move(replaced));
  handle.release();
  return added;
}

int Scheduler::unwatch(int fd, Event event) {
  auto found = watchers_.find(fd);
  if (found == watchers_.end()) return 0;
  Watcher& watcher = found->second;
  Ref removed = std::exchange(event == Event::kRead ? watcher.reader : watcher.writer, Ref());
  if (!removed) return 0;
  bool other = watcher.reader || watcher.writer;
  int error = watcher.watch.set(fd, static_cast<bool>(watcher.reader), static_cast<bool>(watcher.writer));
  if (!other || error != 0) {
    Ref file = std::move(watcher.file);
    Ref reader = std::move(watcher.reader);
    Ref writer = std::move(watcher.writer);
    watchers_.erase(found);
  }
  retire(std::move(removed));
  if (error == 0 || !other) return 1;  // the kernel forgets a closed descriptor by itself
  errno = error;
  PyErr_SetFromErrno(PyExc_OSError);
  return -1;
}

// The descriptor under which an object is watched that cannot name it any more: it was closed.
int Scheduler::watched_fd(PyObject* file) const {
  for (const auto& [fd, watcher] : watchers_) {
    if (watcher.file.get() == file) return fd;
  }
  return -1;
}

// The number may be another's by now.
void Scheduler::remove_transport(int fd, SocketTransport& transport) {
  auto found = transports_.find(fd);
  if (found != transports_.end() && found->second == &transport) transports_.erase(found);
}

SocketTransport* Scheduler::transport_of(int fd) const {
  auto found = transports_.find(fd);
  return found == transports_.end() ? nullptr : found->second;
}

// By value: what dies with it dies here, and no sooner.
void Scheduler::retire(Ref removed) {  // NOLINT(performance-unnecessary-value-param)
  if (!removed) return;
  auto* handle = reinterpret_cast<Handle*>(removed.get());
  handle->cancelled = true;
  drop_callback(handle);
}

void Scheduler::on_ready(void* object, bool readable, bool writable) {
  auto* watcher = static_cast<Watcher*>(object);
  Scheduler& self = watcher->scheduler;
  const int fd = watcher->fd;
  Ref reader = readable ? watcher->reader : Ref();
  Ref writer = writable ? watcher->writer : Ref();
  for (auto& [handle, event] : {std::pair(&reader, Event::kRead), std::pair(&writer, Event::kWrite)}) {
    if (!*handle) continue;
    auto* ready = reinterpret_cast<Handle*>(handle->get());
    if (!ready->cancelled) {
      self.ready_.push_back(reinterpret_cast<Handle*>(handle->release()));
    } else if (self.unwatch(fd, event) < 0) {
      PyErr_Clear();
    }
  }
}

int Scheduler::traverse(visitproc visit, void* arg) {
  for (Handle* handle : ready_) Py_VISIT(handle);
  for (Handle* handle : timers_) Py_VISIT(handle);
  for (auto& [fd, watcher] : watchers_) {
    Py_VISIT(watcher.reader.get());
    Py_VISIT(watcher.writer.get());
    Py_VISIT(watcher.file.get());
  }
  Py_VISIT(task_factory_.get());
  Py_VISIT(loop_keywords_.get());
  return 0;
}

}  // namespace fasterapi::asgi
