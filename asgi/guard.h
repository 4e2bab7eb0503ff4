// C++ exceptions never cross into the interpreter: guarded<&function> is `function` with what it
// throws (out of memory, in practice) turned into a Python error.
#pragma once

#include <exception>
#include <new>

#include "asgi/python.h"

namespace fasterapi::asgi {

inline void set_error_from_exception() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  } catch (...) {
    PyErr_SetString(PyExc_RuntimeError, "unknown C++ exception");
  }
}

template <auto kFunction>
struct Guard;

template <class... Arguments, PyObject* (*kFunction)(Arguments...)>
struct Guard<kFunction> {
  static PyObject* call(Arguments... arguments) noexcept {
    try {
      return kFunction(arguments...);
    } catch (...) {
      set_error_from_exception();
      return nullptr;
    }
  }
};

template <auto kFunction>
inline constexpr auto guarded = &Guard<kFunction>::call;

}  // namespace fasterapi::asgi
