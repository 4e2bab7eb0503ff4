#include "asgi/messages.h"

#include <cstring>
#include <utility>

namespace fasterapi::asgi {

namespace {

constexpr std::string_view kStart = "http.response.start";
constexpr std::string_view kBody = "http.response.body";
constexpr std::string_view kTrailers = "http.response.trailers";

MessageType kind_of(PyObject* text) {
  return is_text(text, kBody)       ? MessageType::kBody
         : is_text(text, kStart)    ? MessageType::kStart
         : is_text(text, kTrailers) ? MessageType::kTrailers
                                    : MessageType::kUnknown;
}

// The truth of an entry that few messages have. False with an error set.
bool read_flag(const Message& message, PyObject* name, bool& flag) {
  flag = false;
  if (!message.copy) return true;
  PyObject* value = PyDict_GetItemWithError(message.copy.get(), name);
  if (value == nullptr) return !PyErr_Occurred();
  int truth = PyObject_IsTrue(value);
  flag = truth == 1;
  return truth >= 0;
}

bool look_up_all(const Names& names, PyObject* object, Message& message) {
  const Entry entries[] = {{names.type, &message.type},
                           {names.body, &message.body},
                           {names.more_body, &message.more_body},
                           {names.status, &message.status},
                           {names.headers, &message.headers}};
  return look_up(object, entries, message.copy);
}

}  // namespace

bool look_up(PyObject* message, std::span<const Entry> entries, Ref& copy) {
  copy = Ref::steal(PyDict_Copy(message));
  if (!copy) return false;
  for (const auto& [name, value] : entries) {
    *value = PyDict_GetItemWithError(copy.get(), name);
    if (*value == nullptr && PyErr_Occurred()) return false;
  }
  return true;
}

bool is_text(PyObject* text, std::string_view expected) {
  return PyUnicode_GET_LENGTH(text) == static_cast<Py_ssize_t>(expected.size()) && PyUnicode_IS_ASCII(text) &&
         std::memcmp(PyUnicode_DATA(text), expected.data(), expected.size()) == 0;
}

// A subclass may run code when it dies, which would be in the middle of a write.
Ref exact_bytes(PyObject* object, const char* what) {
  if (PyBytes_CheckExact(object)) return Ref::share(object);
  if (PyBytes_Check(object)) return to_bytes(bytes_view(object));
  if (PyByteArray_Check(object) || PyMemoryView_Check(object)) {
    Ref given = Ref::share(object);
    return Ref::steal(PyBytes_FromObject(object));
  }
  PyErr_Format(PyExc_TypeError, "%s must be bytes, not %.200s", what, Py_TYPE(object)->tp_name);
  return Ref();
}

// One pass that compares pointers finds what literals in the application's code made, since those
// are interned as our names are. Only a message with some other key is searched by look-ups.
bool read_message(Module& module, PyObject* object, Message& message) {
  if (!PyDict_Check(object)) {
    PyErr_Format(PyExc_TypeError, "an ASGI message must be a dict, not %.200s", Py_TYPE(object)->tp_name);
    return false;
  }
  const Names& names = module.names;
  bool others = false;
  Py_ssize_t position = 0;
  PyObject *key = nullptr, *value = nullptr;
  while (PyDict_Next(object, &position, &key, &value)) {
    if (key == names.type) {
      message.type = value;
    } else if (key == names.body) {
      message.body = value;
    } else if (key == names.more_body) {
      message.more_body = value;
    } else if (key == names.status) {
      message.status = value;
    } else if (key == names.headers) {
      message.headers = value;
    } else {
      others = true;
    }
  }
  if (others && !look_up_all(names, object, message)) return false;
  if (message.type == nullptr || !PyUnicode_Check(message.type)) {
    PyErr_SetString(PyExc_TypeError, "an ASGI message must have a 'type' of type str");
    return false;
  }
  message.kind = kind_of(message.type);
  return true;
}

void HeaderList::clear() {
  headers_.clear();
  if (kept_.empty()) return;
  ErrorKept error;
  kept_.clear();
}

bool HeaderList::read_bytes(PyObject* object, const char* what, std::string_view& view) {
  if (PyBytes_Check(object)) {
    view = bytes_view(object);
    return true;
  }
  if (PyByteArray_Check(object) || PyMemoryView_Check(object)) {
    Ref copy = Ref::steal(PyBytes_FromObject(object));
    if (!copy) return false;
    view = bytes_view(copy.get());
    kept_.push_back(std::move(copy));
    return true;
  }
  PyErr_Format(PyExc_TypeError, "a response header's %s must be bytes, not %.200s", what,
               Py_TYPE(object)->tp_name);
  return false;
}

bool HeaderList::read_pair(PyObject* pair) {
  Ref sequence =
      Ref::steal(PySequence_Fast(pair, "a response header must be an iterable of two items: name and value"));
  if (!sequence) return false;
  if (PySequence_Fast_GET_SIZE(sequence.get()) != 2) {
    PyErr_Format(PyExc_ValueError, "a response header must have two items, name and value, not %zd",
                 PySequence_Fast_GET_SIZE(sequence.get()));
    return false;
  }
  // Owned: reading one may run the application's code, and that may empty the list that held them.
  PyObject** items = PySequence_Fast_ITEMS(sequence.get());
  Ref name = Ref::share(items[0]);
  Ref value = Ref::share(items[1]);
  base::Header header;
  if (!read_bytes(name.get(), "name", header.name) || !read_bytes(value.get(), "value", header.value)) {
    return false;
  }
  headers_.push_back(header);
  // The views are into what the pair holds. A tuple keeps that; anything else may be changed.
  if (PyTuple_CheckExact(pair)) {
    kept_.push_back(Ref::share(pair));
  } else {
    kept_.push_back(std::move(name));
    kept_.push_back(std::move(value));
  }
  return true;
}

// Of exact types all the way down: nobody's code runs, and nothing need be kept.
bool HeaderList::read_plain(PyObject* headers) {
  if (!PyList_CheckExact(headers) && !PyTuple_CheckExact(headers)) return false;
  PyObject** pairs = PySequence_Fast_ITEMS(headers);
  for (Py_ssize_t left = PySequence_Fast_GET_SIZE(headers); left > 0; --left) {
    PyObject* pair = *pairs++;
    if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2) return false;
    PyObject* name = PyTuple_GET_ITEM(pair, 0);
    PyObject* value = PyTuple_GET_ITEM(pair, 1);
    if (!PyBytes_CheckExact(name) || !PyBytes_CheckExact(value)) return false;
    headers_.push_back({bytes_view(name), bytes_view(value)});
  }
  return true;
}

bool HeaderList::read(PyObject* headers) {
  if (read_plain(headers)) return true;
  headers_.clear();
  Ref given = Ref::share(headers);
  Ref sequence =
      Ref::steal(PySequence_Fast(headers, "response headers must be an iterable of (name, value) pairs"));
  if (!sequence) return false;

  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence.get()); ++i) {
    Ref pair = Ref::share(PySequence_Fast_GET_ITEM(sequence.get(), i));
    if (!read_pair(pair.get())) return false;
  }
  return true;
}

bool read_start(Module& module, const Message& message, int& status, HeaderList& headers, bool& trailers) {
  PyObject* number = message.status;
  if (number == nullptr || !PyLong_Check(number)) {
    PyErr_SetString(PyExc_TypeError, "http.response.start must have a 'status' of type int");
    return false;
  }
  int overflow = 0;
  long value = PyLong_AsLongAndOverflow(number, &overflow);
  if (overflow != 0 || value < 100 || value > 999) {
    PyErr_Format(PyExc_ValueError, "http.response.start: status must be between 100 and 999, not %S", number);
    return false;
  }
  status = static_cast<int>(value);
  PyObject* list = message.headers;
  return (list == nullptr || list == Py_None || headers.read(list)) &&
         read_flag(message, module.names.trailers, trailers);
}

bool read_trailers(Module& module, const Message& message, HeaderList& headers, base::Last& last) {
  PyObject* list = message.headers;
  bool more = false;
  if (list != nullptr && list != Py_None && !headers.read(list)) return false;
  if (!read_flag(message, module.names.more_trailers, more)) return false;
  last = more ? base::Last::kNo : base::Last::kYes;
  return true;
}

bool read_body(Module& module, const Message& message, BodyMessage& body) {
  PyObject* bytes = message.body;
  Ref more = Ref::share(message.more_body);  // reading the body may run the application's code
  body.body = bytes == nullptr || bytes == Py_None ? module.empty_bytes
                                                   : exact_bytes(bytes, "http.response.body: body");
  if (!body.body) return false;
  int truth = !more || more.get() == Py_False ? 0 : PyObject_IsTrue(more.get());
  if (truth < 0) return false;
  body.last = truth == 1 ? base::Last::kNo : base::Last::kYes;
  return true;
}

}  // namespace fasterapi::asgi
