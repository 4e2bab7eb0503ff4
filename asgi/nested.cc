#include "asgi/nested.h"

namespace fasterapi::asgi {

namespace {
// Runs in one pump before the asyncio loop's other work has its turn.
constexpr int kMaxRuns = 4;
}  // namespace

NestedLoop::NestedLoop(Module& module, PyObject* asyncio_loop, PyObject* owner)
    : module_(module), owner_(owner), asyncio_loop_(Ref::share(asyncio_loop)) {
  net::LoopHooks hooks;
  hooks.owner = this;
  hooks.changed = [](void* self) { static_cast<NestedLoop*>(self)->on_changed(); };
  loop_ = std::make_unique<net::Loop>(hooks, module.ledger);
}

NestedLoop::~NestedLoop() { close(); }

bool NestedLoop::open(Ref pump) {
  pump_ = std::move(pump);
  Ref fd = Ref::steal(PyLong_FromLong(loop_->backend_fd()));
  if (!fd) return false;
  return static_cast<bool>(Ref::steal(PyObject_CallMethodObjArgs(
      asyncio_loop_.get(), module_.names.add_reader, fd.get(), pump_.get(), nullptr)));
}

void NestedLoop::close() {
  if (!pump_) return;
  ErrorKept kept;
  // Nobody runs it after this: what was ended is buried, and its descriptors closed, now.
  if (!loop_->in_turn()) loop_->run(net::RunMode::kNoWait);
  pump_.reset();
  Ref timer = std::move(timer_);
  if (timer) call_method(timer.get(), module_.names.cancel);
  PyErr_Clear();
  Ref fd = Ref::steal(PyLong_FromLong(loop_->backend_fd()));
  if (fd) call_method(asyncio_loop_.get(), module_.names.remove_reader, fd.get());
  PyErr_Clear();  // the loop may be closed already
}

int NestedLoop::traverse(visitproc visit, void* arg) const {
  Py_VISIT(asyncio_loop_.get());
  Py_VISIT(pump_.get());
  Py_VISIT(timer_.get());
  return 0;
}

void NestedLoop::on_changed() {
  dirty_ = true;
  if (loop_->in_turn() || scheduled_ || !pump_) return;
  ErrorKept kept;
  scheduled_ = true;
  Ref handle = call_method(asyncio_loop_.get(), module_.names.call_soon, pump_.get());
  if (!handle) {
    scheduled_ = false;
    if (PyErr_ExceptionMatches(PyExc_RuntimeError)) {
      PyErr_Clear();  // the loop has closed
    } else {
      PyErr_WriteUnraisable(owner_);
    }
  }
}

bool NestedLoop::pump() {
  if (!pump_ || loop_->in_turn()) return true;
  scheduled_ = false;
  int runs = 0;
  do {
    dirty_ = false;
    if (!loop_->run(net::RunMode::kNoWait)) {
      PyErr_SetString(PyExc_OSError, net::kCannotPoll);
      return false;
    }
  } while (dirty_ && ++runs < kMaxRuns);
  if (!pump_) return true;  // closed by what ran
  if (dirty_) on_changed();
  if (timer_) {
    Ref cancelled = call_method(timer_.get(), module_.names.cancel);
    timer_.reset();
    if (!cancelled) return false;
  }
  int wait_ms = loop_->backend_timeout();
  if (wait_ms < 0 || scheduled_) return true;
  Ref seconds = Ref::steal(PyFloat_FromDouble(wait_ms / 1000.0));
  if (!seconds) return false;
  timer_ = Ref::steal(PyObject_CallMethodObjArgs(asyncio_loop_.get(), module_.names.call_later, seconds.get(),
                                                 pump_.get(), nullptr));
  return static_cast<bool>(timer_);
}

}  // namespace fasterapi::asgi
