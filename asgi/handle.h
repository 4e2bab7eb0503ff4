// asyncio.Handle and asyncio.TimerHandle in C++: a callback that waits for its turn. Made by the
// scheduler; alive as long as the loop or a caller of call_soon() holds it.
#pragma once

#include <cstdint>

#include "asgi/module.h"

namespace fasterapi::asgi {

class Scheduler;

struct Handle {
  PyObject_HEAD Module* module;
  PyObject* callback;  // null once run (if it runs once) or cancelled
  PyObject* context;
  // Up to kInlineArguments in place, more in one tuple: arguments[0].
  static constexpr Py_ssize_t kInlineArguments = 3;
  PyObject* arguments[kInlineArguments];
  Py_ssize_t argument_count;
  PyObject* source_traceback;  // debug mode only
  PyObject* weak_references;
  bool cancelled;
  bool repeats;  // a reader or writer: stays after it ran

  // TimerHandle only, valid where `scheduler` is not null or after.
  double when;             // loop.time(), seconds
  std::uint64_t sequence;  // first come, first served among equal times
  Scheduler* scheduler;    // while it waits in that scheduler's heap
  std::size_t heap_index;
};

// `context` null: a copy of the current one. Null with an error set.
Handle* new_handle(Module& module, PyObject* type, PyObject* callback, PyObject* const* arguments,
                   Py_ssize_t count, PyObject* context);

// Calls the callback in its context; drops it if it runs once. False with an error set.
bool run_handle(Handle* handle);

void drop_callback(Handle* handle);

// "callback(arguments) at file:line", as asyncio's messages have it. Null with an error set.
Ref describe(Handle* handle);

}  // namespace fasterapi::asgi
