// The Python `settings` dictionary read into base::Settings.
#pragma once

#include "asgi/python.h"
#include "server/base/settings.h"

namespace fasterapi::asgi {

// `options`: a dict as fasterapi._native.Settings, or None. False with an error set: an unknown
// key (TypeError), a value of the wrong type (TypeError) or out of range (ValueError).
bool read_settings(PyObject* options, base::Settings& settings);

}  // namespace fasterapi::asgi
