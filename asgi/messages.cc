#include "asgi/messages.h"

#include <algorithm>
#include <iterator>

namespace fasterapi::asgi {

namespace {

constexpr std::string_view kStart = "http.response.start";
constexpr std::string_view kBody = "http.response.body";

bool is_text(PyObject* text, std::string_view expected) {
  return PyUnicode_IS_ASCII(text) &&
         static_cast<std::size_t>(PyUnicode_GET_LENGTH(text)) == expected.size() &&
         std::string_view(static_cast<const char*>(PyUnicode_DATA(text)), expected.size()) == expected;
}

MessageType kind_of(PyObject* text) {
  return is_text(text, kBody)    ? MessageType::kBody
         : is_text(text, kStart) ? MessageType::kStart
                                 : MessageType::kUnknown;
}

}  // namespace

// One pass that compares pointers finds what literals in the application's code made, since those
// are interned as our names are. Only a message with some other key is searched by look-ups, which
// may run the code of a strange key's __eq__.
bool read_message(Module& module, PyObject* object, Message& message) {
  if (!PyDict_Check(object)) {
    PyErr_Format(PyExc_TypeError, "an ASGI message must be a dict, not %.200s", Py_TYPE(object)->tp_name);
    return false;
  }
  const Names& names = module.names;
  const std::pair<PyObject*, Ref*> known[] = {{names.type, &message.type},
                                              {names.body, &message.body},
                                              {names.more_body, &message.more_body},
                                              {names.status, &message.status},
                                              {names.headers, &message.headers}};
  bool others = false;
  Py_ssize_t position = 0;
  PyObject *key = nullptr, *value = nullptr;
  while (PyDict_Next(object, &position, &key, &value)) {
    const auto* found = std::find_if(std::begin(known), std::end(known),
                                     [key](const auto& entry) { return entry.first == key; });
    if (found != std::end(known)) {
      *found->second = Ref::share(value);
    } else {
      others = true;
    }
  }
  for (const auto& [name, slot] : known) {
    if (!others || *slot) continue;
    *slot = Ref::share(PyDict_GetItemWithError(object, name));
    if (!*slot && PyErr_Occurred()) return false;
  }
  if (!message.type || !PyUnicode_Check(message.type.get())) {
    PyErr_SetString(PyExc_TypeError, "an ASGI message must have a 'type' of type str");
    return false;
  }
  message.kind = kind_of(message.type.get());
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

bool read_start(const Message& message, int& status, HeaderList& headers) {
  PyObject* number = message.status.get();
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
  PyObject* list = message.headers.get();
  return list == nullptr || list == Py_None || headers.read(list);
}

bool read_body(Module& module, const Message& message, BodyMessage& body) {
  PyObject* bytes = message.body.get();
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
  PyObject* more = message.more_body.get();
  int truth = more == nullptr ? 0 : PyObject_IsTrue(more);
  if (truth < 0) return false;
  body.last = truth == 1 ? base::Last::kNo : base::Last::kYes;
  return true;
}

}  // namespace fasterapi::asgi
