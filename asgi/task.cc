#include "asgi/task.h"

#include <new>
#include <optional>

#include "asgi/coroutine.h"
#include "asgi/guard.h"
#include "asgi/loop.h"

namespace fasterapi::asgi {

struct Run {
  PyObject_HEAD Module* module;
  Ref app, scope;     // until the first step
  Ref coroutine;      // what the application returned, as an iterator to send to
  Ref receive, send;  // these and the owner until the end
  Ref owner_object;
  RunOwner* owner;  // null once the run has ended
  bool running;     // inside a step: whoever sends or throws now is refused, as by a coroutine
  Ref task;         // while in the list: asyncio itself holds tasks weakly
  Runs* list;
  Run* previous;
  Run* next;
  std::optional<base::Ledger::Entry> entry;  // from the start of a run to its end

  void link(Runs& runs) {
    list = &runs;
    next = runs.first_;
    if (next != nullptr) next->previous = this;
    runs.first_ = this;
    ++runs.size_;
  }
  void unlink() {
    if (list == nullptr) return;
    (previous == nullptr ? list->first_ : previous->next) = next;
    if (next != nullptr) next->previous = previous;
    --list->size_;
    list = nullptr;
    previous = next = nullptr;
  }
};

void Runs::release() {
  spare_.reset();
  while (first_ != nullptr) {
    Ref task = std::move(first_->task);
    first_->unlink();
  }
}

int Runs::traverse(visitproc visit, void* arg) const {
  for (Run* run = first_; run != nullptr; run = run->next) Py_VISIT(run->task.get());
  return 0;
}

Ref Runs::tasks() const {
  Ref list = Ref::steal(PyList_New(0));
  for (Run* run = first_; list && run != nullptr; run = run->next) {
    if (PyList_Append(list.get(), run->task.get()) != 0) return Ref();
  }
  return list;
}

namespace {

Run& self_of(PyObject* object) { return *reinterpret_cast<Run*>(object); }

void end(Run& self, PyObject* error) {
  RunOwner* owner = std::exchange(self.owner, nullptr);
  if (owner == nullptr) return;
  Runs* runs = self.list;  // none during the first step
  self.unlink();
  owner->on_run_end(error);
  self.coroutine.reset();
  if (runs != nullptr) runs->keeper().on_run_over(self.owner_object, self.receive, self.send);
  for (Ref* ref : {&self.receive, &self.send, &self.owner_object, &self.task}) ref->reset();
}

// Calls the application, once. False with an error set.
bool call_application(Run& self) {
  PyObject* arguments[] = {nullptr, self.scope.get(), self.receive.get(), self.send.get()};
  Ref returned = Ref::steal(
      PyObject_Vectorcall(self.app.get(), arguments + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
  for (Ref* ref : {&self.app, &self.scope}) ref->reset();
  if (!returned) return false;
  if (PyCoro_CheckExact(returned.get())) {
    self.coroutine = std::move(returned);
    return true;
  }
  PyAsyncMethods* methods = Py_TYPE(returned.get())->tp_as_async;
  if (methods == nullptr || methods->am_await == nullptr) {
    PyErr_Format(PyExc_TypeError, "an ASGI application must return an awaitable, not %.200s",
                 Py_TYPE(returned.get())->tp_name);
    return false;
  }
  self.coroutine = Ref::steal(methods->am_await(returned.get()));
  return static_cast<bool>(self.coroutine);
}

// A step has raised. The task learns of a cancellation; everything else ends here.
PySendResult end_with_error(Run& self, PyObject** result) {
  Ref error = take_error();
  bool cancelled = PyErr_GivenExceptionMatches(error.get(), self.module->cancelled_error.get());
  end(self, error.get());
  if (cancelled) {
    give_error(std::move(error));
    return PYGEN_ERROR;
  }
  *result = Py_NewRef(Py_None);
  return PYGEN_RETURN;
}

PySendResult resume(PyObject* object, PyObject* value, PyObject** result) {
  Run& self = self_of(object);
  *result = nullptr;
  if (self.owner == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "this run of the application has ended");
    return PYGEN_ERROR;
  }
  if (!self.coroutine && !call_application(self)) return end_with_error(self, result);
  Ref coroutine = self.coroutine;  // a step may collect this object
  PySendResult sent = PyIter_Send(coroutine.get(), value, result);
  if (sent == PYGEN_NEXT) return sent;
  if (sent == PYGEN_ERROR) return end_with_error(self, result);
  Py_CLEAR(*result);
  end(self, nullptr);
  *result = Py_NewRef(Py_None);
  return PYGEN_RETURN;
}

bool begin_step(Run& self) {
  if (!std::exchange(self.running, true)) return true;
  PyErr_SetString(PyExc_ValueError, "coroutine already executing");
  return false;
}

PySendResult resume_guarded(PyObject* object, PyObject* value, PyObject** result) {
  *result = nullptr;
  if (!begin_step(self_of(object))) return PYGEN_ERROR;
  PySendResult sent = PYGEN_ERROR;
  try {
    sent = resume(object, value, result);
  } catch (...) {
    set_error_from_exception();
    *result = nullptr;
  }
  self_of(object).running = false;
  return sent;
}

PyObject* throw_into(PyObject* object, PyObject* const* given, Py_ssize_t count) {
  Run& self = self_of(object);
  if (count < 1) return raise_thrown(given, count);
  PyObject* result = nullptr;
  if (self.owner != nullptr && self.coroutine) {
    Ref method = Ref::steal(PyObject_GetAttr(self.coroutine.get(), self.module->names.throw_));
    if (method) result = PyObject_Vectorcall(method.get(), given, static_cast<std::size_t>(count), nullptr);
    if (result != nullptr) return result;
    // The application caught it and returned.
    if (PyErr_ExceptionMatches(PyExc_StopIteration)) {
      PyErr_Clear();
      end(self, nullptr);
      return as_iterator(PYGEN_RETURN, Py_NewRef(Py_None));
    }
  } else {
    raise_thrown(given, count);  // cancelled before the first step: there is no frame in which to raise it
  }
  if (self.owner == nullptr) return nullptr;
  PySendResult sent = end_with_error(self, &result);
  return as_iterator(sent, result);
}

PyObject* throw_error(PyObject* object, PyObject* const* given, Py_ssize_t count) {
  if (!begin_step(self_of(object))) return nullptr;
  PyObject* result = throw_into(object, given, count);
  self_of(object).running = false;
  return result;
}

PyObject* close(PyObject* object, PyObject*) {
  Run& self = self_of(object);
  if (self.running) {
    PyErr_SetString(PyExc_ValueError, "coroutine already executing");
    return nullptr;
  }
  Ref coroutine = self.coroutine;
  if (coroutine) {
    Ref closed = call_method(coroutine.get(), self.module->names.close);
    if (!closed) return nullptr;
  }
  Ref cancelled = Ref::steal(PyObject_CallNoArgs(self.module->cancelled_error.get()));
  if (!cancelled) return nullptr;
  end(self, cancelled.get());
  Py_RETURN_NONE;
}

// cr_frame, cr_await and so on, for tracebacks and debuggers, are those of the application's coroutine.
PyObject* get_attribute(PyObject* object, PyObject* name) {
  PyObject* found = PyObject_GenericGetAttr(object, name);
  Ref coroutine = self_of(object).coroutine;
  if (found != nullptr || !coroutine || !PyErr_ExceptionMatches(PyExc_AttributeError)) return found;
  PyErr_Clear();
  return PyObject_GetAttr(coroutine.get(), name);
}

int traverse(PyObject* object, visitproc visit, void* arg) {
  Run& self = self_of(object);
  Py_VISIT(Py_TYPE(object));
  for (Ref* ref : {&self.app, &self.scope, &self.receive, &self.send, &self.coroutine, &self.owner_object}) {
    Py_VISIT(ref->get());
  }
  // Not the task: the list of runs holds that, and shows it to the collector.
  return 0;
}

int clear(PyObject* object) {
  Run& self = self_of(object);
  self.unlink();
  self.owner = nullptr;
  for (Ref* ref :
       {&self.app, &self.scope, &self.receive, &self.send, &self.coroutine, &self.owner_object, &self.task}) {
    ref->reset();
  }
  return 0;
}

void end_object(PyObject* object) {
  clear(object);
  self_of(object).~Run();
}

PyType_Slot kSlots[] = {
    {Py_tp_doc, const_cast<char*>("One run of the application, driven by an asyncio.Task.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate<end_object>)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_getattro, reinterpret_cast<void*>(get_attribute)},
    {Py_tp_methods, coroutine_methods<resume_guarded, throw_error, close>},
    {Py_tp_iter, reinterpret_cast<void*>(itself)},
    {Py_tp_iternext, reinterpret_cast<void*>(coroutine_next<resume_guarded>)},
    {Py_am_await, reinterpret_cast<void*>(itself)},
    {Py_am_send, reinterpret_cast<void*>(resume_guarded)},
    {0, nullptr}};

PyType_Spec kSpec = {"fasterapi._native.ApplicationRun", sizeof(Run), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, kSlots};

// A new run in a tuple of its own.
Ref new_run(Module& module) {
  auto* self = PyObject_GC_New(Run, reinterpret_cast<PyTypeObject*>(module.run_type.get()));
  if (self == nullptr) return Ref();
  self->module = &module;
  for (Ref* ref : {&self->app, &self->scope, &self->receive, &self->send, &self->coroutine,
                   &self->owner_object, &self->task}) {
    new (ref) Ref();
  }
  new (&self->entry) std::optional<base::Ledger::Entry>();
  self->owner = nullptr;
  self->running = false;
  self->list = nullptr;
  self->previous = self->next = nullptr;
  PyObject_GC_Track(self);
  Ref run = Ref::steal(reinterpret_cast<PyObject*>(self));
  return Ref::steal(PyTuple_Pack(1, run.get()));
}

// loop.create_task(run), with whatever task factory the loop was given; a Task copies the context
// that is current.
Ref make_task_by_factory(Module& module, PyObject* loop, PyObject* run, PyObject* context) {
  if (PyContext_Enter(context) != 0) return Ref();
  Ref task = call_method(loop, module.names.create_task, run);
  ErrorKept kept;
  PyContext_Exit(context);
  return task;
}

Ref make_task(Module& module, const StartOptions& options, PyObject* arguments) {
#if PY_VERSION_HEX >= 0x030C0000
  Ref context = Ref::steal(PyContext_Copy(options.context));
  const Names& names = module.names;
  if (!context || PyDict_SetItem(options.keywords, names.context, context.get()) != 0 ||
      PyDict_SetItem(options.keywords, names.eager_start, options.eager ? Py_True : Py_False) != 0) {
    return Ref();
  }
  return construct(module.task_type.get(), arguments, options.keywords);
#else
  // The constructor copies the context that is current.
  if (PyContext_Enter(options.context) != 0) return Ref();
  Ref task = construct(module.task_type.get(), arguments, options.keywords);
  ErrorKept kept;
  PyContext_Exit(options.context);
  return task;
#endif
}

}  // namespace

bool start_run(Module& module, const StartOptions& options, Runs& runs, PyObject* app, Ref scope, Ref receive,
               Ref send, PyObject* owner_object, RunOwner& owner) {
  Ref arguments = runs.take_spare();
  if (!arguments) arguments = new_run(module);
  if (!arguments) return false;
  PyObject* object = PyTuple_GET_ITEM(arguments.get(), 0);
  Run& run = self_of(object);
  run.owner = &owner;
  run.owner_object = Ref::share(owner_object);
  run.entry.emplace(module.ledger, base::Kind::kRun);
  run.app = Ref::share(app);
  run.scope = std::move(scope);
  run.receive = std::move(receive);
  run.send = std::move(send);
  Ref task;
  if (options.task_factory != Py_None) {
    task = make_task_by_factory(module, options.loop, object, options.context);
  } else if (PY_VERSION_HEX < 0x030C0000 && options.eager && options.scheduler != nullptr) {
    Scheduler::FirstStep first_step(*options.scheduler);
    task = make_task(module, options, arguments.get());
    first_step.release();
    if (task) first_step.run();
    first_step.settle(task && run.owner != nullptr);
  } else {
    task = make_task(module, options, arguments.get());
  }
  if (!task) {
    run.owner = nullptr;
    return false;
  }
  if (run.owner != nullptr) {
    run.task = std::move(task);
    run.link(runs);
    return true;
  }
  task.reset();
  if (Py_REFCNT(object) == 1 && Py_REFCNT(arguments.get()) == 1) {
    clear(object);
    run.entry.reset();
    runs.keep_spare(std::move(arguments));
  }
  return true;
}

Ref task_keywords(Module& module, PyObject* loop) {
  Ref keywords = Ref::steal(PyDict_New());
  if (!keywords || PyDict_SetItem(keywords.get(), module.names.loop, loop) != 0) return Ref();
#if PY_VERSION_HEX < 0x030C0000
  // Without a name these versions format one for each task.
  Ref name = Ref::steal(PyUnicode_FromString("fasterapi request"));
  PyObject* key = module.names.name;
  if (!name || PyDict_SetItem(keywords.get(), key, name.get()) != 0) return Ref();
#endif
  return keywords;
}

int add_run_type(PyObject* module, Module& state) { return add_type(module, kSpec, state.run_type); }

}  // namespace fasterapi::asgi
