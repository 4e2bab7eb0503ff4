// The Python face of the scheduler: the methods that fasterapi.loop.EventLoop inherits.

#include <climits>
#include <cstring>
#include <new>
#include <vector>

#include "asgi/loop.h"
#include "asgi/native_type.h"
#include "asgi/socket_transport.h"

namespace fasterapi::asgi {

namespace {

struct SchedulerObject {
  PyObject_HEAD Scheduler* scheduler;
};

Scheduler& self_of(PyObject* object) { return *reinterpret_cast<SchedulerObject*>(object)->scheduler; }

PyObject* as_object(Handle* handle) { return reinterpret_cast<PyObject*>(handle); }

// As == of two strings, of which the second is ASCII: asyncio's C code passes names that are not interned.
bool same_name(PyObject* name, PyObject* known) {
  if (name == known) return true;
  const Py_ssize_t length = PyUnicode_GET_LENGTH(known);
  return PyUnicode_GET_LENGTH(name) == length && PyUnicode_IS_ASCII(name) &&
         std::memcmp(PyUnicode_DATA(name), PyUnicode_DATA(known), static_cast<std::size_t>(length)) == 0;
}

// ([number,] callback, *args, context=None), as call_soon and its kin take them, by place or name.
struct Call {
  const char* method;
  PyObject* number_name = nullptr;  // null: the method takes none
  PyObject* number = nullptr;
  PyObject* callback = nullptr;
  PyObject* const* arguments = nullptr;
  Py_ssize_t count = 0;
  PyObject* context = nullptr;

  bool parse(Module& module, PyObject* const* given, Py_ssize_t given_count, PyObject* keywords) {
    const Py_ssize_t leading = number_name != nullptr ? 1 : 0;
    if (leading == 1 && given_count > 0) number = given[0];
    if (given_count > leading) {
      callback = given[leading];
      arguments = given + leading + 1;
      count = given_count - leading - 1;
    }
    Py_ssize_t keyword_count = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
    for (Py_ssize_t i = 0; i < keyword_count; ++i) {
      if (!take_keyword(module, PyTuple_GET_ITEM(keywords, i), given[given_count + i])) return false;
    }
    if (leading == 1 && number == nullptr) return fail("is missing the argument", number_name);
    if (callback == nullptr) return fail("is missing the argument", module.names.callback);
    if (context == Py_None) context = nullptr;
    if (context != nullptr && !PyContext_CheckExact(context)) {
      PyErr_Format(PyExc_TypeError, "%s(): context must be a contextvars.Context, not %.100s", method,
                   Py_TYPE(context)->tp_name);
      return false;
    }
    return true;
  }

 private:
  bool take_keyword(Module& module, PyObject* name, PyObject* value) {
    const std::pair<PyObject*, PyObject**> known[] = {
        {module.names.context, &context}, {module.names.callback, &callback}, {number_name, &number}};
    for (const auto& [expected, slot] : known) {
      if (expected == nullptr || !same_name(name, expected)) continue;
      if (*slot != nullptr) return fail("got multiple values for the argument", name);
      *slot = value;
      return true;
    }
    return fail("got an unexpected keyword argument", name);
  }
  bool fail(const char* what, PyObject* name) {
    PyErr_Format(PyExc_TypeError, "%s() %s %R", method, what, name);
    return false;
  }
};

PyObject* call_soon(PyObject* object, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
  Call call{"call_soon"};
  Scheduler& self = self_of(object);
  if (!call.parse(self.module(), given, count, keywords)) return nullptr;
  if (self.catch_call(call.callback, call.arguments, call.count, call.context)) Py_RETURN_NONE;
  return as_object(self.call_soon(call.callback, call.arguments, call.count, call.context));
}

PyObject* call_soon_threadsafe(PyObject* object, PyObject* const* given, Py_ssize_t count,
                               PyObject* keywords) {
  Call call{"call_soon_threadsafe"};
  Scheduler& self = self_of(object);
  if (!call.parse(self.module(), given, count, keywords)) return nullptr;
  return as_object(self.call_soon_threadsafe(call.callback, call.arguments, call.count, call.context));
}

bool to_seconds(PyObject* number, const char* name, double& seconds) {
  if (number == Py_None) {
    PyErr_Format(PyExc_TypeError, "%s cannot be None", name);
    return false;
  }
  seconds = PyFloat_AsDouble(number);
  return seconds != -1 || !PyErr_Occurred();
}

PyObject* call_at(PyObject* object, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
  Scheduler& self = self_of(object);
  Call call{"call_at", self.module().names.when};
  double when = 0;
  if (!call.parse(self.module(), given, count, keywords)) return nullptr;
  if (!to_seconds(call.number, "when", when)) return nullptr;
  return as_object(self.call_at(when, call.callback, call.arguments, call.count, call.context));
}

PyObject* call_later(PyObject* object, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
  Scheduler& self = self_of(object);
  Call call{"call_later", self.module().names.delay};
  double delay = 0;
  if (!call.parse(self.module(), given, count, keywords)) return nullptr;
  if (!to_seconds(call.number, "delay", delay)) return nullptr;
  const double now = self.now();
  if (now == -1 && PyErr_Occurred()) return nullptr;
  return as_object(self.call_at(now + delay, call.callback, call.arguments, call.count, call.context));
}

// futures.Future(loop=self).
PyObject* create_future(PyObject* object, PyObject*) {
  Scheduler& self = self_of(object);
  PyObject* keywords = self.loop_keywords();
  Ref none = keywords == nullptr ? Ref() : Ref::steal(PyTuple_New(0));
  return none ? construct(self.module().future_type.get(), none.get(), keywords).release() : nullptr;
}

// tasks.Task(coro, loop=self[, name=name]), which is most calls; others are the stdlib's.
PyObject* create_task(PyObject* object, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
  Scheduler& self = self_of(object);
  Module& module = self.module();
  const Py_ssize_t keyword_count = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  const bool named =
      keyword_count == 1 && PyUnicode_Compare(PyTuple_GET_ITEM(keywords, 0), module.names.name) == 0;
  if (count == 1 && keyword_count == (named ? 1 : 0) && self.task_factory() == Py_None && !self.closed()) {
    PyObject* arguments[] = {given[0], object, named ? given[1] : nullptr};
    const Ref& names = named ? module.loop_name_keywords : module.loop_keyword;
    return PyObject_Vectorcall(module.task_type.get(), arguments, 1, names.get());
  }
  std::vector<PyObject*> arguments{object};
  arguments.insert(arguments.end(), given, given + count + keyword_count);
  return PyObject_Vectorcall(module.base_create_task.get(), arguments.data(),
                             static_cast<std::size_t>(count) + 1, keywords);
}

PyObject* time(PyObject*, PyObject*) { return PyFloat_FromDouble(Scheduler::time()); }

// Timers ask time() where a subclass or the loop itself has another, as asyncio's do.
void look_at_clock(PyObject* object) {
  ErrorKept kept;
  Ref method = Ref::steal(PyObject_GetAttr(object, self_of(object).module().names.time));
  if (!method) PyErr_Clear();
  const bool ours =
      method && PyCFunction_Check(method.get()) && PyCFunction_GetFunction(method.get()) == time;
  self_of(object).set_clock_replaced(!ours);
}

int set_attribute(PyObject* object, PyObject* name, PyObject* value) {
  if (PyObject_GenericSetAttr(object, name, value) < 0) return -1;
  if (name == self_of(object).module().names.time) look_at_clock(object);
  return 0;
}

// asyncio's own sign: true between two turns too, as other threads see it.
PyObject* is_running(PyObject* object, PyObject*) {
  Ref thread = Ref::steal(PyObject_GetAttr(object, self_of(object).module().names._thread_id));
  if (!thread) return nullptr;
  return PyBool_FromLong(thread.get() != Py_None);
}

PyObject* get_debug(PyObject* object, PyObject*) { return PyBool_FromLong(self_of(object).debug()); }

PyObject* run_once(PyObject* object, PyObject*) {
  if (!self_of(object).run_once()) return nullptr;
  Py_RETURN_NONE;
}

// A file descriptor, or what has a fileno(), as selectors take them. False with ValueError set.
bool read_descriptor(Module& module, PyObject* file, long& fd) {
  Ref number = PyLong_Check(file) ? Ref::share(file) : call_method(file, module.names.fileno);
  if (number && !PyLong_Check(number.get())) number = Ref::steal(PyNumber_Long(number.get()));
  fd = number ? PyLong_AsLong(number.get()) : -1;
  if (!PyErr_Occurred()) return true;
  for (PyObject* expected : {PyExc_AttributeError, PyExc_TypeError, PyExc_ValueError, PyExc_OverflowError}) {
    if (!PyErr_ExceptionMatches(expected)) continue;
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "Invalid file object: %R", file);
    break;
  }
  return false;
}

// The same, and a number that can be one. -1 with ValueError set.
int descriptor_of(Module& module, PyObject* file) {
  long fd = -1;
  if (!read_descriptor(module, file, fd)) return -1;
  if (fd >= 0 && fd <= INT_MAX) return static_cast<int>(fd);
  PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %ld", fd);
  return -1;
}

template <Scheduler::Event kEvent>
PyObject* watch(PyObject* object, PyObject* const* given, Py_ssize_t count) {
  if (count < 2) {
    PyErr_SetString(PyExc_TypeError, "a file descriptor and a callback are needed");
    return nullptr;
  }
  Scheduler& self = self_of(object);
  int fd = descriptor_of(self.module(), given[0]);
  if (fd < 0) return nullptr;
  return as_object(self.watch(given[0], fd, kEvent, given[1], given + 2, count - 2));
}

template <Scheduler::Event kEvent>
PyObject* unwatch(PyObject* object, PyObject* file) {
  Scheduler& self = self_of(object);
  if (self.closed()) Py_RETURN_FALSE;
  int fd = descriptor_of(self.module(), file);
  if (fd < 0) {
    ErrorKept kept;
    fd = self.watched_fd(file);
    if (fd >= 0) kept.forget();
  }
  if (fd < 0) return nullptr;
  int removed = self.unwatch(fd, kEvent);
  return removed < 0 ? nullptr : PyBool_FromLong(removed);
}

// RuntimeError if a transport has the descriptor: one of ours, or a datagram transport of asyncio's.
PyObject* ensure_fd_no_transport(PyObject* object, PyObject* file) {
  Scheduler& self = self_of(object);
  long fd = -1;
  if (!read_descriptor(self.module(), file, fd)) return nullptr;
  if (fd < 0 || fd > INT_MAX) Py_RETURN_NONE;  // a file that is closed: nobody's
  SocketTransport* transport = self.transport_of(static_cast<int>(fd));
  Ref user;
  if (transport != nullptr && transport->holds_descriptor()) {
    user = Ref::share(transport->object());
  } else {
    Ref others = Ref::steal(PyObject_GetAttr(object, self.module().names._transports));
    Ref number = Ref::steal(PyLong_FromLong(fd));
    user = others && number ? call_method(others.get(), self.module().names.get, number.get()) : Ref();
    if (!user) return nullptr;
    if (user.get() == Py_None) Py_RETURN_NONE;
    Ref closing = call_method(user.get(), self.module().names.is_closing);
    if (!closing) return nullptr;
    if (closing.get() == Py_True) Py_RETURN_NONE;
  }
  return PyErr_Format(PyExc_RuntimeError, "File descriptor %R is used by transport %R", file, user.get());
}

// BaseEventLoop's own flag: stop() sets it, run_forever() asks after each turn. Kept here, where each
// poll asks too.
PyObject* get_stopping(PyObject* object, void*) { return PyBool_FromLong(self_of(object).stopping()); }

int set_stopping(PyObject* object, PyObject* value, void*) {
  int stopping = value == nullptr ? 0 : PyObject_IsTrue(value);
  if (stopping < 0) return -1;
  self_of(object).set_stopping(stopping == 1);
  return 0;
}

PyObject* set_native_debug(PyObject* object, PyObject* enabled) {
  self_of(object).set_debug(PyObject_IsTrue(enabled) == 1);
  Py_RETURN_NONE;
}

PyObject* set_native_task_factory(PyObject* object, PyObject* factory) {
  self_of(object).set_task_factory(factory);
  Py_RETURN_NONE;
}

PyObject* close_native(PyObject* object, PyObject*) {
  if (self_of(object).in_turn()) {
    PyErr_SetString(PyExc_RuntimeError, "Cannot close a running event loop");
    return nullptr;
  }
  self_of(object).close();
  Py_RETURN_NONE;
}

PyObject* create(PyTypeObject* type, PyObject*, PyObject*) {
  Module* module = module_of(type);
  if (module == nullptr) return nullptr;
  PyObject* object = type->tp_alloc(type, 0);
  if (object == nullptr) return nullptr;
  auto* self = reinterpret_cast<SchedulerObject*>(object);
  try {
    self->scheduler = new Scheduler(object, *module);
  } catch (const std::exception& error) {
    PyErr_Format(PyExc_OSError, "cannot make an event loop: %s", error.what());
    Py_DECREF(object);
    return nullptr;
  }
  look_at_clock(object);
  return object;
}

int traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Scheduler* scheduler = reinterpret_cast<SchedulerObject*>(object)->scheduler;
  return scheduler == nullptr ? 0 : scheduler->traverse(visit, arg);
}

// BaseEventLoop.__del__ has closed the loop before this, as a rule.
int clear(PyObject* object) {
  Scheduler* scheduler = reinterpret_cast<SchedulerObject*>(object)->scheduler;
  if (scheduler != nullptr) scheduler->close();
  return 0;
}

void end_object(PyObject* object) {
  auto* self = reinterpret_cast<SchedulerObject*>(object);
  if (self->scheduler != nullptr) self->scheduler->close();
  delete self->scheduler;
  self->scheduler = nullptr;
}

PyMethodDef kMethods[] = {
    {"call_soon", as_method(guarded<&call_soon>), METH_FASTCALL | METH_KEYWORDS,
     "call_soon(callback, *args, context=None) -> Handle\n\nCalls callback(*args) in the loop's next turn."},
    {"call_soon_threadsafe", as_method(guarded<&call_soon_threadsafe>), METH_FASTCALL | METH_KEYWORDS,
     "call_soon_threadsafe(callback, *args, context=None) -> Handle\n\nAs call_soon, from any thread."},
    {"call_at", as_method(guarded<&call_at>), METH_FASTCALL | METH_KEYWORDS,
     "call_at(when, callback, *args, context=None) -> TimerHandle\n\n`when` in seconds on the clock of "
     "time()."},
    {"call_later", as_method(guarded<&call_later>), METH_FASTCALL | METH_KEYWORDS,
     "call_later(delay, callback, *args, context=None) -> TimerHandle\n\n`delay` in seconds."},
    {"create_future", create_future, METH_NOARGS, "create_future() -> asyncio.Future"},
    {"create_task", as_method(guarded<&create_task>), METH_FASTCALL | METH_KEYWORDS,
     "create_task(coro, *, name=None, ...) -> asyncio.Task\n\nBy the task factory, if there is one."},
    {"time", time, METH_NOARGS, "time() -> float\n\nMonotonic seconds, as time.monotonic()."},
    {"is_running", is_running, METH_NOARGS, "Whether the loop is in a turn."},
    {"get_debug", get_debug, METH_NOARGS, "Whether debug mode is on."},
    {"_run_once", guarded<&run_once>, METH_NOARGS, "One turn of the loop."},
    {"_add_reader", as_method(guarded<&watch<Scheduler::Event::kRead>>), METH_FASTCALL, nullptr},
    {"_add_writer", as_method(guarded<&watch<Scheduler::Event::kWrite>>), METH_FASTCALL, nullptr},
    {"_remove_reader", guarded<&unwatch<Scheduler::Event::kRead>>, METH_O, nullptr},
    {"_remove_writer", guarded<&unwatch<Scheduler::Event::kWrite>>, METH_O, nullptr},
    {"_ensure_fd_no_transport", guarded<&ensure_fd_no_transport>, METH_O, nullptr},
    {"_set_native_debug", set_native_debug, METH_O, nullptr},
    {"_set_native_task_factory", set_native_task_factory, METH_O, nullptr},
    {"_close_native", guarded<&close_native>, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef kAttributes[] = {
    {"_stopping", get_stopping, set_stopping, "Whether the loop is to stop after this turn.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot kSlots[] = {
    {Py_tp_doc, const_cast<char*>("Callbacks, timers and readiness over epoll, to be mixed in before "
                                  "asyncio.SelectorEventLoop.")},
    {Py_tp_new, reinterpret_cast<void*>(create)},
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate<end_object>)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_setattro, reinterpret_cast<void*>(set_attribute)},
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kAttributes},
    {0, nullptr}};

PyType_Spec kSpec = {"fasterapi._native.Scheduler", sizeof(SchedulerObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, kSlots};

}  // namespace

Scheduler* scheduler_of(Module& module, PyObject* loop) {
  if (!PyObject_TypeCheck(loop, reinterpret_cast<PyTypeObject*>(module.scheduler_type.get()))) return nullptr;
  return &self_of(loop);
}

int add_scheduler_type(PyObject* module, Module& state) {
  return add_type(module, kSpec, state.scheduler_type);
}

}  // namespace fasterapi::asgi
