#include "asgi/server_settings.h"

#include <cmath>

#include "server/base/bytes.h"
#include "server/net/ip_address.h"

namespace fasterapi::asgi {

namespace {

struct Duration {
  const char* name;
  base::Milliseconds base::Settings::*member;
};

struct Size {
  const char* name;
  std::size_t base::Settings::*member;
};

struct Switch {
  const char* name;
  bool base::Settings::*member;
};

constexpr Duration kDurations[] = {{"keep_alive_timeout", &base::Settings::keep_alive_timeout},
                                   {"head_timeout", &base::Settings::head_timeout},
                                   {"body_timeout", &base::Settings::body_timeout},
                                   {"write_timeout", &base::Settings::write_timeout}};
constexpr Size kSizes[] = {{"max_request_line", &base::Settings::max_request_line},
                           {"max_head", &base::Settings::max_head},
                           {"max_header_fields", &base::Settings::max_header_fields},
                           {"max_body", &base::Settings::max_body},
                           {"max_concurrency", &base::Settings::max_concurrency},
                           {"max_connections", &base::Settings::max_connections},
                           {"min_body_rate", &base::Settings::min_body_rate}};
constexpr Switch kSwitches[] = {{"date_header", &base::Settings::date_header}};
constexpr double kMaxSeconds = 86400.0 * 366;

bool read_seconds(const char* name, PyObject* value, base::Milliseconds& duration) {
  double seconds = PyFloat_AsDouble(value);
  if (seconds == -1 && PyErr_Occurred()) return false;
  if (!(seconds >= 0) || seconds > kMaxSeconds) {
    PyErr_Format(PyExc_ValueError, "%s must be between 0 and a year of seconds, not %S", name, value);
    return false;
  }
  duration = base::Milliseconds(std::llround(seconds * 1000));
  return true;
}

bool read_size(const char* name, PyObject* value, std::size_t& size) {
  if (!PyLong_Check(value)) {
    PyErr_Format(PyExc_TypeError, "%s must be an int, not %.200s", name, Py_TYPE(value)->tp_name);
    return false;
  }
  size = PyLong_AsSize_t(value);
  if (!PyErr_Occurred()) return true;
  PyErr_Format(PyExc_ValueError, "%s must be between 0 and %zu, not %S", name, base::kUnlimited, value);
  return false;
}

bool read_header(PyObject* pair, base::Settings& settings) {
  const char *name_data = nullptr, *value_data = nullptr;
  Py_ssize_t name_size = 0, value_size = 0;
  if (!PyTuple_Check(pair)) {
    PyErr_SetString(PyExc_TypeError, "headers must hold pairs of bytes");
    return false;
  }
  if (!PyArg_ParseTuple(pair, "y#y#", &name_data, &name_size, &value_data, &value_size)) return false;
  std::string_view name(name_data, static_cast<std::size_t>(name_size));
  std::string_view value(value_data, static_cast<std::size_t>(value_size));
  if (!base::is_token(name) || !base::is_field_value(value)) {
    PyErr_Format(PyExc_ValueError, "headers must not hold %R", pair);
    return false;
  }
  if (name == "server") {
    settings.server = value;
  } else if (name == "date") {
    settings.date = value;
  } else {
    settings.extra_headers.append(name).append(": ").append(value).append("\r\n");
  }
  return true;
}

bool read_headers(PyObject* value, base::Settings& settings) {
  Ref pairs = Ref::steal(PySequence_Fast(value, "headers must be a sequence"));
  if (!pairs) return false;
  settings.server.clear();
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(pairs.get()); ++i) {
    if (!read_header(PySequence_Fast_GET_ITEM(pairs.get(), i), settings)) return false;
  }
  return true;
}

bool read_trusted_proxies(PyObject* value, base::Settings& settings) {
  Ref texts = Ref::steal(PySequence_Fast(value, "trusted_proxies must be a sequence"));
  for (Py_ssize_t i = 0; texts && i < PySequence_Fast_GET_SIZE(texts.get()); ++i) {
    const char* text = PyUnicode_AsUTF8(PySequence_Fast_GET_ITEM(texts.get(), i));
    if (text == nullptr) return false;
    if (std::string_view(text) != "*" && !net::read_ip_network(text)) {
      PyErr_Format(PyExc_ValueError, "trusted_proxies: '%s' is no IP address and no network", text);
      return false;
    }
    settings.trusted_proxies.emplace_back(text);
  }
  return static_cast<bool>(texts);
}

bool read_one(const char* name, PyObject* value, base::Settings& settings) {
  std::string_view key(name);
  for (const Duration& duration : kDurations) {
    if (key == duration.name) return read_seconds(name, value, settings.*duration.member);
  }
  for (const Size& size : kSizes) {
    if (key == size.name) return read_size(name, value, settings.*size.member);
  }
  for (const Switch& flag : kSwitches) {
    if (key != flag.name) continue;
    int truth = PyObject_IsTrue(value);
    if (truth >= 0) settings.*flag.member = truth == 1;
    return truth >= 0;
  }
  if (key == "trusted_proxies") return read_trusted_proxies(value, settings);
  if (key == "headers") return read_headers(value, settings);
  PyErr_Format(PyExc_TypeError, "unknown setting '%s'", name);
  return false;
}

}  // namespace

bool read_settings(PyObject* options, base::Settings& settings) {
  if (options == Py_None) return true;
  if (!PyDict_Check(options)) {
    PyErr_Format(PyExc_TypeError, "settings must be a dict, not %.200s", Py_TYPE(options)->tp_name);
    return false;
  }
  PyObject *key, *value;
  Py_ssize_t position = 0;
  while (PyDict_Next(options, &position, &key, &value)) {
    const char* name = PyUnicode_Check(key) ? PyUnicode_AsUTF8(key) : nullptr;
    if (name == nullptr) {
      if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "settings must have str keys");
      return false;
    }
    if (!read_one(name, value, settings)) return false;
  }
  return true;
}

}  // namespace fasterapi::asgi
