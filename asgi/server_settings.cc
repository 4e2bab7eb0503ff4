#include "asgi/server_settings.h"

#include <cmath>

#include "server/base/bytes.h"
#include "server/net/ip_address.h"

namespace fasterapi::asgi {

namespace {

// The fields of `Target` by the names that Python has for them.
template <class Type, class Target>
struct Field {
  const char* name;
  Type Target::*member;
};

using base::Milliseconds;
using base::Settings;
using base::WebSocketSettings;

constexpr Field<Milliseconds, Settings> kDurations[] = {{"keep_alive_timeout", &Settings::keep_alive_timeout},
                                                        {"head_timeout", &Settings::head_timeout},
                                                        {"body_timeout", &Settings::body_timeout},
                                                        {"write_timeout", &Settings::write_timeout}};
constexpr Field<std::size_t, Settings> kSizes[] = {
    {"max_request_line", &Settings::max_request_line},   {"max_head", &Settings::max_head},
    {"max_header_fields", &Settings::max_header_fields}, {"max_body", &Settings::max_body},
    {"max_concurrency", &Settings::max_concurrency},     {"max_connections", &Settings::max_connections},
    {"min_body_rate", &Settings::min_body_rate}};
constexpr Field<bool, Settings> kSwitches[] = {{"date_header", &Settings::date_header},
                                               {"websocket_enabled", &Settings::websocket_enabled}};

constexpr Field<Milliseconds, WebSocketSettings> kSocketDurations[] = {
    {"ping_interval", &WebSocketSettings::ping_interval},
    {"ping_timeout", &WebSocketSettings::ping_timeout},
    {"close_timeout", &WebSocketSettings::close_timeout}};
constexpr Field<std::size_t, WebSocketSettings> kSocketSizes[] = {
    {"max_message", &WebSocketSettings::max_message},
    {"max_queue", &WebSocketSettings::max_queue},
    {"deflate_threshold", &WebSocketSettings::deflate_threshold}};
constexpr Field<int, WebSocketSettings> kSocketNumbers[] = {
    {"server_max_window_bits", &WebSocketSettings::server_max_window_bits},
    {"client_max_window_bits", &WebSocketSettings::client_max_window_bits},
    {"deflate_level", &WebSocketSettings::deflate_level},
    {"deflate_memory_level", &WebSocketSettings::deflate_memory_level}};
constexpr Field<bool, WebSocketSettings> kSocketSwitches[] = {
    {"deflate", &WebSocketSettings::deflate},
    {"server_no_context_takeover", &WebSocketSettings::server_no_context_takeover},
    {"client_no_context_takeover", &WebSocketSettings::client_no_context_takeover}};
constexpr double kMaxSeconds = 86400.0 * 366;

bool read(const char* name, PyObject* value, Milliseconds& duration) {
  double seconds = PyFloat_AsDouble(value);
  if (seconds == -1 && PyErr_Occurred()) return false;
  if (!(seconds >= 0) || seconds > kMaxSeconds) {
    PyErr_Format(PyExc_ValueError, "%s must be between 0 and a year of seconds, not %S", name, value);
    return false;
  }
  duration = base::Milliseconds(std::llround(seconds * 1000));
  return true;
}

bool read(const char* name, PyObject* value, std::size_t& size) {
  if (!PyLong_Check(value)) {
    PyErr_Format(PyExc_TypeError, "%s must be an int, not %.200s", name, Py_TYPE(value)->tp_name);
    return false;
  }
  size = PyLong_AsSize_t(value);
  if (!PyErr_Occurred()) return true;
  PyErr_Format(PyExc_ValueError, "%s must be between 0 and %zu, not %S", name, base::kUnlimited, value);
  return false;
}

// zlib's parameters, all of which lie between 1 and 15.
bool read(const char* name, PyObject* value, int& number) {
  std::size_t given = 0;
  if (!read(name, value, given)) return false;
  if (given < 1 || given > 15) {
    PyErr_Format(PyExc_ValueError, "%s must be between 1 and 15, not %S", name, value);
    return false;
  }
  number = static_cast<int>(given);
  return true;
}

bool read(const char*, PyObject* value, bool& flag) {
  const int truth = PyObject_IsTrue(value);
  if (truth >= 0) flag = truth == 1;
  return truth >= 0;
}

// Whether `name` is one of `fields`, which is then read: `result` is false with an error set.
template <class Fields, class Target>
bool read_field(const Fields& fields, std::string_view name, PyObject* value, Target& target, bool& result) {
  for (const auto& field : fields) {
    if (name != field.name) continue;
    result = read(field.name, value, target.*field.member);
    return true;
  }
  return false;
}

bool unknown(const char* name) {
  PyErr_Format(PyExc_TypeError, "unknown setting '%s'", name);
  return false;
}

// Calls read_one(name, value) for each entry. False with an error set.
template <class ReadOne>
bool read_dict(PyObject* dict, ReadOne read_one) {
  if (!PyDict_Check(dict)) {
    PyErr_Format(PyExc_TypeError, "settings must be a dict, not %.200s", Py_TYPE(dict)->tp_name);
    return false;
  }
  PyObject *key, *value;
  Py_ssize_t position = 0;
  while (PyDict_Next(dict, &position, &key, &value)) {
    const char* name = PyUnicode_Check(key) ? PyUnicode_AsUTF8(key) : nullptr;
    if (name == nullptr) {
      if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "settings must have str keys");
      return false;
    }
    if (!read_one(name, value)) return false;
  }
  return true;
}

bool read_texts(PyObject* value, std::vector<std::string>& list) {
  Ref texts = Ref::steal(PySequence_Fast(value, "a list of str is wanted"));
  for (Py_ssize_t i = 0; texts && i < PySequence_Fast_GET_SIZE(texts.get()); ++i) {
    const char* text = PyUnicode_AsUTF8(PySequence_Fast_GET_ITEM(texts.get(), i));
    if (text == nullptr) return false;
    list.emplace_back(text);
  }
  return static_cast<bool>(texts);
}

bool read_websocket(const char* name, PyObject* value, WebSocketSettings& settings) {
  bool result = false;
  if (read_field(kSocketDurations, name, value, settings, result) ||
      read_field(kSocketSizes, name, value, settings, result) ||
      read_field(kSocketNumbers, name, value, settings, result) ||
      read_field(kSocketSwitches, name, value, settings, result)) {
    return result;
  }
  if (std::string_view(name) == "allowed_origins") return read_texts(value, settings.allowed_origins);
  return unknown(name);
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
  if (!read_texts(value, settings.trusted_proxies)) return false;
  for (const std::string& text : settings.trusted_proxies) {
    if (text == "*" || net::read_ip_network(text)) continue;
    PyErr_Format(PyExc_ValueError, "trusted_proxies: '%s' is no IP address and no network", text.c_str());
    return false;
  }
  return true;
}

bool read_one(const char* name, PyObject* value, base::Settings& settings) {
  bool result = false;
  if (read_field(kDurations, name, value, settings, result) ||
      read_field(kSizes, name, value, settings, result) ||
      read_field(kSwitches, name, value, settings, result)) {
    return result;
  }
  const std::string_view key(name);
  if (key == "trusted_proxies") return read_trusted_proxies(value, settings);
  if (key == "headers") return read_headers(value, settings);
  if (key == "websocket") {
    return read_dict(value, [&settings](const char* inner, PyObject* entry) {
      return read_websocket(inner, entry, settings.websocket);
    });
  }
  return unknown(name);
}

}  // namespace

bool read_settings(PyObject* options, base::Settings& settings) {
  if (options == Py_None) return true;
  return read_dict(
      options, [&settings](const char* name, PyObject* value) { return read_one(name, value, settings); });
}

}  // namespace fasterapi::asgi
