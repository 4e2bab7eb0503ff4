#include "asgi/awaitable.h"

#include <algorithm>
#include <new>

#include "asgi/coroutine.h"
#include "asgi/guard.h"
#include "asgi/loop.h"

namespace fasterapi::asgi {

Ref Waiters::add(Module& module, PyObject* loop) {
  Ref future = call_method(loop, module.names.create_future);
  if (future) futures_.push_back(future);
  return future;
}

void Waiters::remove(PyObject* future) {
  std::erase_if(futures_, [future](const Ref& waiter) { return waiter.get() == future; });
}

namespace {

void complete_future(Module& module, PyObject* future) {
  Ref done = call_method(future, module.names.done);
  if (done && done.get() == Py_False) Ref woken = call_method(future, module.names.set_result, Py_None);
  if (!PyErr_Occurred()) return;
  if (PyErr_ExceptionMatches(PyExc_RuntimeError)) {
    PyErr_Clear();  // its loop has closed: nobody waits any more
  } else {
    PyErr_WriteUnraisable(future);
  }
}

}  // namespace

void Waiters::wake(Module& module, Scheduler* stepper) {
  if (futures_.empty()) return;
  ErrorKept kept;
  for (const Ref& future : std::exchange(futures_, {})) {
    if (stepper == nullptr) {
      complete_future(module, future.get());
      continue;
    }
    Scheduler::WakeUp wake_up(*std::exchange(stepper, nullptr));
    complete_future(module, future.get());
    wake_up.run();
  }
}

int Waiters::traverse(visitproc visit, void* arg) {
  for (const Ref& future : futures_) Py_VISIT(future.get());
  return 0;
}

namespace {

struct Awaitable {
  PyObject_HEAD Module* module;
  Ref owner;  // null: a failure, or done
  Awaited* awaited;
  Ref error;    // raised at the await
  Ref future;   // while waiting
  Ref waiting;  // the future's iterator
  base::Ledger::Entry entry;
};

Awaitable& self_of(PyObject* object) { return *reinterpret_cast<Awaitable*>(object); }

void stop_waiting(Awaitable& self) {
  if (self.future && self.owner) self.awaited->waiters().remove(self.future.get());
  self.future.reset();
  self.waiting.reset();
}

PySendResult finish(Awaitable& self, Ref value, PyObject** result) {
  stop_waiting(self);
  self.owner.reset();
  *result = value.release();
  return *result == nullptr ? PYGEN_ERROR : PYGEN_RETURN;
}

bool begin_waiting(Awaitable& self) {
  self.future = self.awaited->waiters().add(*self.module, self.awaited->loop());
  if (!self.future) return false;
  self.waiting = call_method(self.future.get(), self.module->names.__await__);
  return static_cast<bool>(self.waiting);
}

PySendResult resume(PyObject* object, PyObject* value, PyObject** result) {
  Awaitable& self = self_of(object);
  *result = nullptr;
  if (self.error) {
    give_error(std::exchange(self.error, Ref()));
    return PYGEN_ERROR;
  }
  if (!self.owner) {
    PyErr_SetString(PyExc_RuntimeError, "this awaitable was awaited already");
    return PYGEN_ERROR;
  }
  for (;;) {
    if (self.waiting) {
      Ref waiting = self.waiting;  // a step may close this awaitable
      PySendResult sent = PyIter_Send(waiting.get(), value, result);
      if (sent == PYGEN_NEXT) return sent;
      stop_waiting(self);
      if (sent == PYGEN_ERROR) return sent;
      Py_CLEAR(*result);
    }
    Ref outcome;
    if (self.awaited->poll(outcome)) return finish(self, std::move(outcome), result);
    if (!begin_waiting(self)) return finish(self, Ref(), result);
    value = Py_None;
  }
}

PySendResult resume_guarded(PyObject* object, PyObject* value, PyObject** result) {
  try {
    return resume(object, value, result);
  } catch (...) {
    set_error_from_exception();
    *result = nullptr;
    return PYGEN_ERROR;
  }
}

PyObject* throw_error(PyObject* object, PyObject* const* given, Py_ssize_t count) {
  Awaitable& self = self_of(object);
  if (count < 1 || !self.waiting) return raise_thrown(given, count);
  Ref waiting = self.waiting;
  Ref method = Ref::steal(PyObject_GetAttr(waiting.get(), self.module->names.throw_));
  if (!method) return nullptr;
  PyObject* result = PyObject_Vectorcall(method.get(), given, static_cast<std::size_t>(count), nullptr);
  if (result == nullptr) stop_waiting(self);
  return result;
}

PyObject* close(PyObject* object, PyObject*) {
  stop_waiting(self_of(object));
  self_of(object).owner.reset();
  Py_RETURN_NONE;
}

int traverse(PyObject* object, visitproc visit, void* arg) {
  Awaitable& self = self_of(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self.owner.get());
  Py_VISIT(self.error.get());
  Py_VISIT(self.future.get());
  Py_VISIT(self.waiting.get());
  return 0;
}

int clear(PyObject* object) {
  Awaitable& self = self_of(object);
  stop_waiting(self);
  self.owner.reset();
  self.error.reset();
  return 0;
}

void end_object(PyObject* object) {
  clear(object);
  self_of(object).~Awaitable();
}

PyType_Slot kSlots[] = {
    {Py_tp_doc, const_cast<char*>("What receive() and send() return when they have to wait.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate<end_object>)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_methods, coroutine_methods<resume_guarded, throw_error, close>},
    {Py_tp_iter, reinterpret_cast<void*>(itself)},
    {Py_tp_iternext, reinterpret_cast<void*>(coroutine_next<resume_guarded>)},
    {Py_am_await, reinterpret_cast<void*>(itself)},
    {Py_am_send, reinterpret_cast<void*>(resume_guarded)},
    {0, nullptr}};

PyType_Spec kSpec = {"fasterapi._native.Awaitable", sizeof(Awaitable), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, kSlots};

// --- The awaitable that is always done -------------------------------------------------------

PySendResult complete(PyObject*, PyObject*, PyObject** result) {
  *result = Py_NewRef(Py_None);
  return PYGEN_RETURN;
}

PyObject* complete_send(PyObject*, PyObject*) {
  PyErr_SetNone(PyExc_StopIteration);
  return nullptr;
}

PyObject* complete_next(PyObject*) { return nullptr; }  // no error set: StopIteration(None)

PyObject* complete_throw(PyObject*, PyObject* const* given, Py_ssize_t count) {
  return raise_thrown(given, count);
}

PyObject* complete_close(PyObject*, PyObject*) { Py_RETURN_NONE; }

PyMethodDef kCompletedMethods[] = {{"send", complete_send, METH_O, nullptr},
                                   {"throw", as_method(complete_throw), METH_FASTCALL, nullptr},
                                   {"close", complete_close, METH_NOARGS, nullptr},
                                   {nullptr, nullptr, 0, nullptr}};

PyType_Slot kCompletedSlots[] = {
    {Py_tp_doc, const_cast<char*>("What send() returns when there is nothing to wait for.")},
    {Py_tp_methods, kCompletedMethods},
    {Py_tp_iter, reinterpret_cast<void*>(itself)},
    {Py_tp_iternext, reinterpret_cast<void*>(complete_next)},
    {Py_am_await, reinterpret_cast<void*>(itself)},
    {Py_am_send, reinterpret_cast<void*>(complete)},
    {0, nullptr}};

PyType_Spec kCompletedSpec = {"fasterapi._native.Completed", sizeof(PyObject), 0,
                              Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, kCompletedSlots};

Awaitable* make(Module& module) {
  auto* type = reinterpret_cast<PyTypeObject*>(module.awaitable_type.get());
  auto* self = PyObject_GC_New(Awaitable, type);
  if (self == nullptr) return nullptr;
  self->module = &module;
  self->awaited = nullptr;
  for (Ref* ref : {&self->owner, &self->error, &self->future, &self->waiting}) new (ref) Ref();
  new (&self->entry) base::Ledger::Entry(module.ledger, base::Kind::kAwaitable);
  return self;
}

}  // namespace

PyObject* new_awaitable(Module& module, PyObject* owner, Awaited& awaited) {
  Awaitable* self = make(module);
  if (self == nullptr) return nullptr;
  self->owner = Ref::share(owner);
  self->awaited = &awaited;
  PyObject_GC_Track(self);
  return reinterpret_cast<PyObject*>(self);
}

PyObject* new_failed_awaitable(Module& module, Ref error) {
  Awaitable* self = make(module);
  if (self == nullptr) return nullptr;
  self->error = std::move(error);
  PyObject_GC_Track(self);
  return reinterpret_cast<PyObject*>(self);
}

int add_awaitable_types(PyObject* module, Module& state) {
  if (add_type(module, kSpec, state.awaitable_type) != 0) return -1;
  if (add_type(module, kCompletedSpec, state.completed_type) != 0) return -1;
  auto* type = reinterpret_cast<PyTypeObject*>(state.completed_type.get());
  state.completed = Ref::steal(type->tp_alloc(type, 0));
  return state.completed ? 0 : -1;
}

}  // namespace fasterapi::asgi
