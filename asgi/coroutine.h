// What a Python type needs, besides am_send, to be used as a coroutine: send(), next() and throw() in
// terms of it.
#pragma once

#include "asgi/native_type.h"

namespace fasterapi::asgi {

// send() and next() say "finished" with StopIteration.
inline PyObject* as_iterator(PySendResult sent, PyObject* result) {
  if (sent != PYGEN_RETURN) return result;
  Ref value = Ref::steal(result);
  Ref stop = Ref::steal(PyObject_CallOneArg(PyExc_StopIteration, value.get()));
  if (stop) PyErr_SetObject(PyExc_StopIteration, stop.get());
  return nullptr;
}

template <PySendResult (*kResume)(PyObject*, PyObject*, PyObject**)>
PyObject* coroutine_send(PyObject* object, PyObject* value) {
  PyObject* result = nullptr;
  PySendResult sent = kResume(object, value, &result);
  return as_iterator(sent, result);
}

template <PySendResult (*kResume)(PyObject*, PyObject*, PyObject**)>
PyObject* coroutine_next(PyObject* object) {
  return coroutine_send<kResume>(object, Py_None);
}

// An iterator and an awaitable of itself.
inline PyObject* itself(PyObject* object) { return Py_NewRef(object); }

// throw(value) or throw(type, value, traceback): sets the error that it stands for.
inline PyObject* raise_thrown(PyObject* const* given, Py_ssize_t count) {
  if (count < 1) {
    PyErr_SetString(PyExc_TypeError, "throw() takes an exception");
    return nullptr;
  }
  PyObject* type = given[0];
  PyObject* value = count > 1 && given[1] != Py_None ? given[1] : nullptr;
  if (PyExceptionInstance_Check(type)) {
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(type)), type);
  } else if (PyExceptionClass_Check(type)) {
    PyErr_SetObject(type, value);
  } else {
    PyErr_SetString(PyExc_TypeError, "exceptions must derive from BaseException");
  }
  return nullptr;
}

template <auto kResume, auto kThrow, auto kClose>
inline PyMethodDef coroutine_methods[] = {{"send", coroutine_send<kResume>, METH_O, nullptr},
                                          {"throw", as_method(kThrow), METH_FASTCALL, nullptr},
                                          {"close", kClose, METH_NOARGS, nullptr},
                                          {nullptr, nullptr, 0, nullptr}};

}  // namespace fasterapi::asgi
