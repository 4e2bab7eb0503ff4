// What the definitions of our Python types share: a C++ object inside of a Python object, the end of both,
// and functions of any shape in a table of methods.
#pragma once

#include "asgi/guard.h"

namespace fasterapi::asgi {

// A Python object with a T in it, which is constructed in `storage` right after the object was made.
template <class T>
struct Holder {
  PyObject_HEAD alignas(T) unsigned char storage[sizeof(T)];

  static T& held(PyObject* object) {
    return *reinterpret_cast<T*>(reinterpret_cast<Holder*>(object)->storage);
  }
};

// tp_dealloc of a type that the garbage collector knows. kEnd destroys what the object holds.
template <void (*kEnd)(PyObject*)>
void deallocate(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  kEnd(object);
  type->tp_free(object);
  Py_DECREF(type);
}

// The type that PyMethodDef has for all; its flags say which it is.
template <class Function>
PyCFunction as_method(Function* function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

}  // namespace fasterapi::asgi
