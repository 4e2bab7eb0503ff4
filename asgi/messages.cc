#include "asgi/messages.h"

namespace fasterapi::asgi {

namespace {

constexpr std::string_view kStart = "http.response.start";
constexpr std::string_view kBody = "http.response.body";

bool is_text(PyObject* text, std::string_view expected) {
  return PyUnicode_IS_COMPACT_ASCII(text) &&
         static_cast<std::size_t>(PyUnicode_GET_LENGTH(text)) == expected.size() &&
         std::string_view(static_cast<const char*>(PyUnicode_DATA(text)), expected.size()) == expected;
}

// A borrowed value, or null; an error only from a strange key's __eq__.
bool look_up(PyObject* message, PyObject* key, PyObject*& value) {
  value = PyDict_GetItemWithError(message, key);
  return value != nullptr || !PyErr_Occurred();
}

}  // namespace

bool read_type(Module& module, PyObject* message, MessageType& type) {
  if (!PyDict_Check(message)) {
    PyErr_Format(PyExc_TypeError, "an ASGI message must be a dict, not %.200s", Py_TYPE(message)->tp_name);
    return false;
  }
  PyObject* text = nullptr;
  if (!look_up(message, module.names.type, text)) return false;
  if (text == nullptr || !PyUnicode_Check(text)) {
    PyErr_SetString(PyExc_TypeError, "an ASGI message must have a 'type' of type str");
    return false;
  }
  type = is_text(text, kBody)    ? MessageType::kBody
         : is_text(text, kStart) ? MessageType::kStart
                                 : MessageType::kUnknown;
  return true;
}

void HeaderList::clear() {
  headers_.clear();
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
  PyObject** items = PySequence_Fast_ITEMS(sequence.get());
  base::Header header;
  if (!read_bytes(items[0], "name", header.name) || !read_bytes(items[1], "value", header.value))
    return false;
  headers_.push_back(header);
  // The views are into what the pair holds. A tuple keeps that; anything else may be changed.
  if (PyTuple_CheckExact(pair)) {
    kept_.push_back(Ref::share(pair));
  } else {
    kept_.push_back(Ref::share(items[0]));
    kept_.push_back(Ref::share(items[1]));
  }
  return true;
}

bool HeaderList::read(PyObject* headers) {
  Ref sequence =
      Ref::steal(PySequence_Fast(headers, "response headers must be an iterable of (name, value) pairs"));
  if (!sequence) return false;

  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence.get()); ++i) {
    Ref pair = Ref::share(PySequence_Fast_GET_ITEM(sequence.get(), i));
    if (!read_pair(pair.get())) return false;
  }
  return true;
}

bool read_start(Module& module, PyObject* message, int& status, HeaderList& headers) {
  PyObject* number = nullptr;
  if (!look_up(message, module.names.status, number)) return false;
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
  PyObject* list = nullptr;
  if (!look_up(message, module.names.headers, list)) return false;
  if (list == nullptr || list == Py_None) return true;
  Ref kept = Ref::share(list);
  return headers.read(list);
}

bool read_body(Module& module, PyObject* message, BodyMessage& body) {
  PyObject* bytes = nullptr;
  if (!look_up(message, module.names.body, bytes)) return false;
  if (bytes == nullptr || bytes == Py_None) {
    body.body = module.empty_bytes;
  } else if (PyBytes_CheckExact(bytes)) {
    body.body = Ref::share(bytes);
  } else if (PyBytes_Check(bytes)) {
    // A subclass may run code when it dies, which would be in the middle of a write.
    body.body = to_bytes(bytes_view(bytes));
    if (!body.body) return false;
  } else if (PyByteArray_Check(bytes) || PyMemoryView_Check(bytes)) {
    body.body = Ref::steal(PyBytes_FromObject(bytes));
    if (!body.body) return false;
  } else {
    PyErr_Format(PyExc_TypeError, "http.response.body: body must be bytes, not %.200s",
                 Py_TYPE(bytes)->tp_name);
    return false;
  }
  PyObject* more = nullptr;
  if (!look_up(message, module.names.more_body, more)) return false;
  int truth = more == nullptr ? 0 : PyObject_IsTrue(more);
  if (truth < 0) return false;
  body.last = truth == 1 ? base::Last::kNo : base::Last::kYes;
  return true;
}

}  // namespace fasterapi::asgi
