// CPython's C API with owners: Ref (owned reference), error take/give, the few calls that differ
// between 3.10 and 3.14. The only header that includes Python.h. A null Ref returned by a
// function means "Python error set", and is checked on the next line.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string_view>
#include <utility>

// Who sets an error is on a path that the compiler may move out of the way.
// NOLINTBEGIN(readability-redundant-declaration): declared again for the attribute
extern "C" {
[[gnu::cold]] void PyErr_SetString(PyObject*, const char*);
[[gnu::cold]] PyObject* PyErr_Format(PyObject*, const char*, ...);
[[gnu::cold]] void PyErr_SetObject(PyObject*, PyObject*);
[[gnu::cold]] void PyErr_Clear(void);
[[gnu::cold]] void PyErr_WriteUnraisable(PyObject*);
}
// NOLINTEND(readability-redundant-declaration)

namespace fasterapi::asgi {

// An owned reference, or null.
class Ref {
 public:
  Ref() = default;
  static Ref steal(PyObject* object) { return Ref(object); }
  static Ref share(PyObject* object) {
    Py_XINCREF(object);
    return Ref(object);
  }
  Ref(const Ref& other) : object_(other.object_) { Py_XINCREF(object_); }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() { Py_XDECREF(object_); }

  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  void reset() { *this = Ref(); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  explicit Ref(PyObject* object) : object_(object) {}
  PyObject* object_ = nullptr;
};

// A raised exception taken as a value, with its traceback. Null when none was set.
inline Ref take_error() {
  if (PyErr_Occurred() == nullptr) return Ref();
#if PY_VERSION_HEX >= 0x030C0000
  return Ref::steal(PyErr_GetRaisedException());
#else
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != nullptr) PyException_SetTraceback(value, traceback);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  return Ref::steal(value);
#endif
}

inline void give_error(Ref error) {
#if PY_VERSION_HEX >= 0x030C0000
  PyErr_SetRaisedException(error.release());
#else
  PyObject* value = error.release();
  PyErr_Restore(Py_NewRef(reinterpret_cast<PyObject*>(Py_TYPE(value))), value,
                PyException_GetTraceback(value));
#endif
}

// Keeps an error that is set across calls which must not see it.
class ErrorKept {
 public:
  ErrorKept() : error_(take_error()) {}
  ~ErrorKept() {
    if (error_) give_error(std::move(error_));
  }
  void forget() { error_.reset(); }
  ErrorKept(const ErrorKept&) = delete;
  ErrorKept& operator=(const ErrorKept&) = delete;

 private:
  Ref error_;
};

inline std::string_view bytes_view(PyObject* bytes) {
  return {PyBytes_AS_STRING(bytes), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes))};
}

inline Ref to_bytes(std::string_view bytes) {
  return Ref::steal(PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
}

inline Ref to_str(std::string_view utf8) {
  return Ref::steal(
      PyUnicode_DecodeUTF8(utf8.data(), static_cast<Py_ssize_t>(utf8.size()), "surrogateescape"));
}

inline Ref call_method(PyObject* object, PyObject* name) {
  return Ref::steal(PyObject_CallMethodNoArgs(object, name));
}
inline Ref call_method(PyObject* object, PyObject* name, PyObject* argument) {
  return Ref::steal(PyObject_CallMethodOneArg(object, name, argument));
}

// type(*arguments, **keywords), without a dictionary of keywords made anew for each. Null with an error set.
inline Ref construct(PyObject* type, PyObject* arguments, PyObject* keywords) {
  auto* made_of = reinterpret_cast<PyTypeObject*>(type);
  Ref made = Ref::steal(made_of->tp_new(made_of, arguments, nullptr));
  if (!made || made_of->tp_init(made.get(), arguments, keywords) != 0) return Ref();
  return made;
}

}  // namespace fasterapi::asgi
