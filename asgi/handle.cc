#include "asgi/handle.h"

#include <structmember.h>

#include <cstddef>

#include "asgi/loop.h"
#include "asgi/native_type.h"

namespace fasterapi::asgi {

namespace {

Handle* self_of(PyObject* object) { return reinterpret_cast<Handle*>(object); }

PyObject* arguments_tuple(Handle* handle) {
  if (handle->argument_count > Handle::kInlineArguments) return Py_NewRef(handle->arguments[0]);
  PyObject* tuple = PyTuple_New(handle->argument_count);
  if (tuple == nullptr) return nullptr;
  for (Py_ssize_t i = 0; i < handle->argument_count; ++i) {
    PyTuple_SET_ITEM(tuple, i, Py_NewRef(handle->arguments[i]));
  }
  return tuple;
}

PyObject* cancel(PyObject* object, PyObject*) {
  Handle* self = self_of(object);
  if (!self->cancelled) {
    self->cancelled = true;
    if (self->scheduler != nullptr) self->scheduler->cancel_timer(self);
    drop_callback(self);
  }
  Py_RETURN_NONE;
}

PyObject* cancelled(PyObject* object, PyObject*) { return PyBool_FromLong(self_of(object)->cancelled); }

PyObject* when(PyObject* object, PyObject*) { return PyFloat_FromDouble(self_of(object)->when); }

PyObject* get_context(PyObject* object, PyObject*) {
  PyObject* context = self_of(object)->context;
  return Py_NewRef(context == nullptr ? Py_None : context);
}

PyObject* run(PyObject* object, PyObject*) {
  if (!run_handle(self_of(object))) return nullptr;
  Py_RETURN_NONE;
}

PyObject* get_callback(PyObject* object, void*) {
  PyObject* callback = self_of(object)->callback;
  return Py_NewRef(callback == nullptr ? Py_None : callback);
}

PyObject* get_arguments(PyObject* object, void*) {
  if (self_of(object)->callback == nullptr) Py_RETURN_NONE;
  return arguments_tuple(self_of(object));
}

PyObject* get_source_traceback(PyObject* object, void*) {
  PyObject* traceback = self_of(object)->source_traceback;
  return Py_NewRef(traceback == nullptr ? Py_None : traceback);
}

PyObject* get_cancelled(PyObject* object, void*) { return PyBool_FromLong(self_of(object)->cancelled); }

// isinstance() asks for it: ours are asyncio's to whoever looks.
PyObject* get_class(PyObject* object, void*) {
  return Py_NewRef(self_of(object)->module->handle_class.get());
}

PyObject* get_timer_class(PyObject* object, void*) {
  return Py_NewRef(self_of(object)->module->timer_handle_class.get());
}

bool is_timer(Module& module, PyObject* object) {
  return PyObject_TypeCheck(object, reinterpret_cast<PyTypeObject*>(module.timer_handle_type.get()));
}

// " created at file:line", or "" outside debug mode.
Ref creation(Handle* self) {
  if (self->source_traceback == nullptr) return Ref::share(self->module->names.empty);
  Ref frame = Ref::steal(PySequence_GetItem(self->source_traceback, -1));
  Ref file = frame ? Ref::steal(PySequence_GetItem(frame.get(), 0)) : Ref();
  Ref line = file ? Ref::steal(PySequence_GetItem(frame.get(), 1)) : Ref();
  return line ? Ref::steal(PyUnicode_FromFormat(" created at %S:%S", file.get(), line.get())) : Ref();
}

PyObject* repr(PyObject* object) {
  Handle* self = self_of(object);
  const bool timer = is_timer(*self->module, object);
  Ref due = Ref::share(self->module->names.empty);
  if (timer) {
    Ref number = Ref::steal(PyFloat_FromDouble(self->when));
    due = number ? Ref::steal(PyUnicode_FromFormat(" when=%R", number.get())) : Ref();
  }
  Ref callback = Ref::share(self->module->names.empty);
  if (self->callback != nullptr) {
    Ref text = describe(self);
    callback = text ? Ref::steal(PyUnicode_FromFormat(" %U", text.get())) : Ref();
  }
  Ref created = creation(self);
  if (!due || !callback || !created) return nullptr;
  return PyUnicode_FromFormat("<%s%s%U%U%U>", timer ? "TimerHandle" : "Handle",
                              self->cancelled ? " cancelled" : "", due.get(), callback.get(), created.get());
}

// Timers are ordered by when they are due; equal is only the same one.
PyObject* compare(PyObject* object, PyObject* other, int operation) {
  if (operation == Py_EQ || operation == Py_NE) {
    return PyBool_FromLong((object == other) == (operation == Py_EQ));
  }
  if (!is_timer(*self_of(object)->module, other)) Py_RETURN_NOTIMPLEMENTED;
  Py_RETURN_RICHCOMPARE(self_of(object)->when, self_of(other)->when, operation);
}

Py_hash_t hash(PyObject* object) {
  Ref due = Ref::steal(PyFloat_FromDouble(self_of(object)->when));
  return due ? PyObject_Hash(due.get()) : -1;
}

int traverse(PyObject* object, visitproc visit, void* arg) {
  Handle* self = self_of(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->callback);
  Py_VISIT(self->context);
  Py_VISIT(self->source_traceback);
  Py_ssize_t kept = self->argument_count > Handle::kInlineArguments ? 1 : self->argument_count;
  for (Py_ssize_t i = 0; i < kept; ++i) Py_VISIT(self->arguments[i]);
  return 0;
}

int clear(PyObject* object) {
  drop_callback(self_of(object));
  Py_CLEAR(self_of(object)->context);
  return 0;
}

void end_object(PyObject* object) {
  Handle* self = self_of(object);
  if (self->weak_references != nullptr) PyObject_ClearWeakRefs(object);
  drop_callback(self);
  Py_CLEAR(self->context);
  Py_CLEAR(self->source_traceback);
}

PyMethodDef kHandleMethods[] = {
    {"cancel", cancel, METH_NOARGS, "Cancels the callback. Idempotent."},
    {"cancelled", cancelled, METH_NOARGS, "Whether cancel() was called."},
    {"get_context", get_context, METH_NOARGS, "The contextvars.Context that the callback runs in."},
    {"_run", run, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

PyMethodDef kTimerMethods[] = {
    {"when", when, METH_NOARGS,
     "The time on the loop's clock at which the callback is due, in seconds (float)."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef kHandleAttributes[] = {{"_callback", get_callback, nullptr, nullptr, nullptr},
                                   {"_args", get_arguments, nullptr, nullptr, nullptr},
                                   {"_source_traceback", get_source_traceback, nullptr, nullptr, nullptr},
                                   {"_cancelled", get_cancelled, nullptr, nullptr, nullptr},
                                   {"__class__", get_class, nullptr, nullptr, nullptr},
                                   {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyGetSetDef kTimerAttributes[] = {{"__class__", get_timer_class, nullptr, nullptr, nullptr},
                                  {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef kHandleMembers[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Handle, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

PyType_Slot kHandleSlots[] = {
    {Py_tp_doc, const_cast<char*>("A callback scheduled on the loop, as asyncio.Handle.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate<end_object>)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_repr, reinterpret_cast<void*>(repr)},
    {Py_tp_methods, kHandleMethods},
    {Py_tp_getset, kHandleAttributes},
    {Py_tp_members, kHandleMembers},
    {0, nullptr}};

PyType_Slot kTimerSlots[] = {
    {Py_tp_doc, const_cast<char*>("A callback scheduled for a point in time, as asyncio.TimerHandle.")},
    {Py_tp_methods, kTimerMethods},
    {Py_tp_getset, kTimerAttributes},
    {Py_tp_richcompare, reinterpret_cast<void*>(compare)},
    {Py_tp_hash, reinterpret_cast<void*>(hash)},
    {0, nullptr}};

constexpr unsigned kFlags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION;

PyType_Spec kHandleSpec = {"fasterapi._native.Handle", sizeof(Handle), 0, kFlags | Py_TPFLAGS_HAVE_GC,
                           kHandleSlots};
// Inherits the flag, with the functions that go with it.
PyType_Spec kTimerSpec = {"fasterapi._native.TimerHandle", sizeof(Handle), 0, kFlags, kTimerSlots};

}  // namespace

Handle* new_handle(Module& module, PyObject* type, PyObject* callback, PyObject* const* arguments,
                   Py_ssize_t count, PyObject* context) {
  auto* type_object = reinterpret_cast<PyTypeObject*>(type);
  auto* handle = PyObject_GC_New(Handle, type_object);
  if (handle == nullptr) return nullptr;
  handle->module = &module;
  handle->callback = Py_NewRef(callback);
  handle->argument_count = count;
  handle->source_traceback = handle->weak_references = nullptr;
  handle->cancelled = handle->repeats = false;
  handle->scheduler = nullptr;
  handle->context = context == nullptr ? PyContext_CopyCurrent() : Py_NewRef(context);
  if (count <= Handle::kInlineArguments) {
    for (Py_ssize_t i = 0; i < count; ++i) handle->arguments[i] = Py_NewRef(arguments[i]);
  } else {
    PyObject* tuple = PyTuple_New(count);
    handle->arguments[0] = tuple;
    for (Py_ssize_t i = 0; tuple != nullptr && i < count; ++i)
      PyTuple_SET_ITEM(tuple, i, Py_NewRef(arguments[i]));
  }
  if (handle->context == nullptr || (count > Handle::kInlineArguments && handle->arguments[0] == nullptr)) {
    Py_DECREF(handle);
    return nullptr;
  }
  PyObject_GC_Track(reinterpret_cast<PyObject*>(handle));
  return handle;
}

Ref describe(Handle* handle) {
  if (handle->callback == nullptr) return Ref::steal(PyObject_Repr(reinterpret_cast<PyObject*>(handle)));
  Ref arguments = Ref::steal(arguments_tuple(handle));
  if (!arguments) return Ref();
  return Ref::steal(PyObject_CallFunctionObjArgs(handle->module->format_callback.get(), handle->callback,
                                                 arguments.get(), nullptr));
}

void drop_callback(Handle* handle) {
  PyObject* callback = std::exchange(handle->callback, nullptr);
  if (callback == nullptr) return;
  Py_ssize_t kept = handle->argument_count > Handle::kInlineArguments ? 1 : handle->argument_count;
  PyObject* arguments[Handle::kInlineArguments];
  for (Py_ssize_t i = 0; i < kept; ++i) arguments[i] = handle->arguments[i];
  handle->argument_count = 0;
  Py_DECREF(callback);
  for (Py_ssize_t i = 0; i < kept; ++i) Py_XDECREF(arguments[i]);
}

bool run_handle(Handle* handle) {
  if (handle->callback == nullptr || handle->context == nullptr) return true;
  // The callback may cancel its own handle: it is kept alive until it has returned.
  Ref callback = Ref::share(handle->callback);
  if (PyContext_Enter(handle->context) != 0) return false;
  Ref result;
  if (handle->argument_count > Handle::kInlineArguments) {
    Ref tuple = Ref::share(handle->arguments[0]);
    result = Ref::steal(PyObject_Call(callback.get(), tuple.get(), nullptr));
  } else {
    PyObject* arguments[Handle::kInlineArguments + 1];
    Ref kept[Handle::kInlineArguments];
    Py_ssize_t count = handle->argument_count;
    for (Py_ssize_t i = 0; i < count; ++i) {
      kept[i] = Ref::share(handle->arguments[i]);
      arguments[i + 1] = kept[i].get();
    }
    result = Ref::steal(PyObject_Vectorcall(callback.get(), arguments + 1,
                                            static_cast<std::size_t>(count) | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                            nullptr));
  }
  bool succeeded = static_cast<bool>(result);
  if (succeeded) {
    PyContext_Exit(handle->context);
  } else {
    ErrorKept kept;
    PyContext_Exit(handle->context);
  }
  return succeeded;
}

int add_handle_types(PyObject* module, Module& state) {
  if (add_type(module, kHandleSpec, state.handle_type) != 0) return -1;
  Ref bases = Ref::steal(PyTuple_Pack(1, state.handle_type.get()));
  if (!bases) return -1;
  state.timer_handle_type = Ref::steal(PyType_FromModuleAndSpec(module, &kTimerSpec, bases.get()));
  if (!state.timer_handle_type) return -1;
  return PyModule_AddType(module, reinterpret_cast<PyTypeObject*>(state.timer_handle_type.get()));
}

}  // namespace fasterapi::asgi
