#include "asgi/websocket_messages.h"

namespace fasterapi::asgi {

namespace {

SocketMessageType kind_of(PyObject* text) {
  return is_text(text, "websocket.send")                  ? SocketMessageType::kSend
         : is_text(text, "websocket.close")               ? SocketMessageType::kClose
         : is_text(text, "websocket.accept")              ? SocketMessageType::kAccept
         : is_text(text, "websocket.http.response.start") ? SocketMessageType::kResponseStart
         : is_text(text, "websocket.http.response.body")  ? SocketMessageType::kResponseBody
                                                          : SocketMessageType::kUnknown;
}

// Null (with an error set) or the text as UTF-8, which lives as long as `text` does.
bool utf8_view(PyObject* text, std::string_view& view) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text, &size);
  if (data == nullptr) return false;
  view = {data, static_cast<std::size_t>(size)};
  return true;
}

bool is_given(PyObject* value) { return value != nullptr && value != Py_None; }

}  // namespace

// As read_message(): one pass that compares pointers finds what literals in the application's code made.
bool read_socket_message(Module& module, PyObject* object, SocketMessage& message) {
  if (!PyDict_Check(object)) {
    PyErr_Format(PyExc_TypeError, "an ASGI message must be a dict, not %.200s", Py_TYPE(object)->tp_name);
    return false;
  }
  const Names& names = module.names;
  const Entry entries[] = {{names.type, &message.type},
                           {names.text, &message.text},
                           {names.bytes, &message.bytes},
                           {names.compress, &message.compress},
                           {names.code, &message.code},
                           {names.reason, &message.reason},
                           {names.subprotocol, &message.subprotocol},
                           {names.headers, &message.headers},
                           {names.status, &message.status},
                           {names.body, &message.body},
                           {names.more_body, &message.more_body}};
  bool others = false;
  Py_ssize_t position = 0;
  PyObject *key = nullptr, *value = nullptr;
  while (PyDict_Next(object, &position, &key, &value)) {
    bool found = false;
    for (const Entry& entry : entries) {
      if (key != entry.name) continue;
      *entry.value = value;
      found = true;
      break;
    }
    others |= !found;
  }
  if (others && !look_up(object, entries, message.copy)) return false;
  if (message.type == nullptr || !PyUnicode_Check(message.type)) {
    PyErr_SetString(PyExc_TypeError, "an ASGI message must have a 'type' of type str");
    return false;
  }
  message.kind = kind_of(message.type);
  return true;
}

bool read_payload(PyObject* text, PyObject* bytes, PyObject* compress, Payload& payload) {
  if (is_given(text) == is_given(bytes)) {
    PyErr_SetString(PyExc_ValueError,
                    is_given(text) ? "a WebSocket message has either 'text' or 'bytes', not both"
                                   : "a WebSocket message must have a 'text' or 'bytes' that is not None");
    return false;
  }
  if (is_given(compress)) {
    Ref given_text = Ref::share(text);  // the truth of an object may be its own code's to say
    Ref given_bytes = Ref::share(bytes);
    const int truth = PyObject_IsTrue(compress);
    if (truth < 0) return false;
    payload.compress = truth == 1 ? websocket::Compress::kYes : websocket::Compress::kNo;
    return read_payload(given_text.get(), given_bytes.get(), nullptr, payload);
  }
  if (is_given(bytes)) {
    payload.kind = websocket::MessageKind::kBinary;
    payload.owner = exact_bytes(bytes, "a WebSocket message's 'bytes'");
    if (!payload.owner) return false;
    payload.bytes = bytes_view(payload.owner.get());
    return true;
  }
  if (!PyUnicode_Check(text)) {
    PyErr_Format(PyExc_TypeError, "a WebSocket message's 'text' must be str, not %.200s",
                 Py_TYPE(text)->tp_name);
    return false;
  }
  payload.kind = websocket::MessageKind::kText;
  // A subclass may run code when it dies, which would be in the middle of a write.
  payload.owner = PyUnicode_CheckExact(text) ? Ref::share(text) : Ref::steal(PyUnicode_FromObject(text));
  return payload.owner && utf8_view(payload.owner.get(), payload.bytes);
}

bool read_close(const SocketMessage& message, CloseMessage& close) {
  if (is_given(message.code)) {
    if (!PyLong_Check(message.code)) {
      PyErr_Format(PyExc_TypeError, "websocket.close: code must be int, not %.200s",
                   Py_TYPE(message.code)->tp_name);
      return false;
    }
    int overflow = 0;
    long code = PyLong_AsLongAndOverflow(message.code, &overflow);
    if (overflow != 0 || code < 0 || code > 0xffff) code = 0;  // which may not be sent either
    close.code = static_cast<std::uint16_t>(code);
  }
  if (!is_given(message.reason)) return true;
  if (!PyUnicode_Check(message.reason)) {
    PyErr_Format(PyExc_TypeError, "websocket.close: reason must be str, not %.200s",
                 Py_TYPE(message.reason)->tp_name);
    return false;
  }
  close.owner = Ref::share(message.reason);
  return utf8_view(message.reason, close.reason);
}

bool read_accept(const SocketMessage& message, AcceptMessage& accept) {
  Ref headers = Ref::share(message.headers);
  if (is_given(message.subprotocol)) {
    if (!PyUnicode_Check(message.subprotocol)) {
      PyErr_Format(PyExc_TypeError, "websocket.accept: subprotocol must be str, not %.200s",
                   Py_TYPE(message.subprotocol)->tp_name);
      return false;
    }
    accept.owner = Ref::share(message.subprotocol);
    if (!utf8_view(message.subprotocol, accept.subprotocol)) return false;
  }
  return !is_given(headers.get()) || accept.headers.read(headers.get());
}

}  // namespace fasterapi::asgi
