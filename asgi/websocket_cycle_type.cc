// The Python object of a WebSocketCycle: what the application is given as receive and send, and the methods
// of the extension fasterapi.websocket (docs/websocket.md). Owned by whoever holds it.
#include <memory>
#include <new>
#include <string>

#include "asgi/native_type.h"
#include "asgi/websocket_cycle.h"

namespace fasterapi::asgi {

namespace {

using WebSocketCycleObject = Holder<WebSocketCycle>;

WebSocketCycle& cycle_of(PyObject* object) { return WebSocketCycleObject::held(object); }

PyObject* call_receive(PyObject* self, PyObject*) { return cycle_of(self).receive(); }
PyObject* call_send(PyObject* self, PyObject* message) { return cycle_of(self).send(message); }

PyMethodDef kReceive = {"receive", guarded<&call_receive>, METH_NOARGS,
                        "receive() -> awaitable of the next event, a dict (ASGI WebSocket 2.5)."};
PyMethodDef kSend = {
    "send", guarded<&call_send>, METH_O,
    "send(message) -> awaitable; waits while the client reads too slowly.\n\n"
    "Raises OSError once the WebSocket is closed, TypeError, ValueError or RuntimeError for a "
    "message that is wrong."};

int traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  int stop = cycle_of(object).traverse_pings(visit, arg);
  return stop != 0 ? stop : cycle_of(object).traverse(visit, arg);
}

int clear(PyObject* object) {
  cycle_of(object).clear();
  cycle_of(object).clear_pings();
  return 0;
}

void end_object(PyObject* object) { std::destroy_at(&cycle_of(object)); }

// --- The extension -------------------------------------------------------------------------

bool read_control_payload(PyObject* arguments, PyObject* keywords, std::string& payload) {
  static const char* names[] = {"payload", nullptr};
  Py_buffer given{};
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|y*", const_cast<char**>(names), &given)) {
    return false;
  }
  if (given.buf != nullptr)
    payload.assign(static_cast<const char*>(given.buf), static_cast<std::size_t>(given.len));
  if (given.obj != nullptr) PyBuffer_Release(&given);
  return true;
}

PyObject* call_ping(PyObject* self, PyObject* arguments, PyObject* keywords) {
  std::string payload;
  return read_control_payload(arguments, keywords, payload) ? cycle_of(self).ping(payload) : nullptr;
}

PyObject* call_pong(PyObject* self, PyObject* arguments, PyObject* keywords) {
  std::string payload;
  return read_control_payload(arguments, keywords, payload) ? cycle_of(self).pong(payload) : nullptr;
}

// (data, compress=None), by position only: what is sent most is called quickest.
template <PyObject* (WebSocketCycle::*kSendData)(PyObject*, PyObject*)>
PyObject* call_send_data(PyObject* self, PyObject* const* given, Py_ssize_t count) {
  if (count < 1 || count > 2) {
    PyErr_Format(PyExc_TypeError, "expected 1 or 2 positional arguments, not %zd", count);
    return nullptr;
  }
  return (cycle_of(self).*kSendData)(given[0], count == 2 ? given[1] : nullptr);
}

PyObject* call_receive_data(PyObject* self, PyObject*) { return cycle_of(self).receive_data(); }

PyObject* call_statistics(PyObject* self, PyObject*) { return cycle_of(self).statistics(); }

bool read_topic(PyObject* topic, std::string_view& view) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(topic, &size);
  if (data == nullptr) return false;
  view = {data, static_cast<std::size_t>(size)};
  return true;
}

PyObject* call_subscribe(PyObject* self, PyObject* topic) {
  std::string_view name;
  return read_topic(topic, name) ? cycle_of(self).subscribe(name) : nullptr;
}

PyObject* call_unsubscribe(PyObject* self, PyObject* topic) {
  std::string_view name;
  return read_topic(topic, name) ? cycle_of(self).unsubscribe(name) : nullptr;
}

PyObject* call_publish(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"topic", "text", "bytes", nullptr};
  PyObject *topic = nullptr, *text = Py_None, *bytes = Py_None;
  std::string_view name;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "U|$OO", const_cast<char**>(names), &topic, &text,
                                   &bytes) ||
      !read_topic(topic, name)) {
    return nullptr;
  }
  return cycle_of(self).publish(name, text, bytes);
}

PyObject* get_pong_events(PyObject* self, void*) { return PyBool_FromLong(cycle_of(self).gives_pongs()); }

int set_pong_events(PyObject* self, PyObject* value, void*) {
  const int truth = value == nullptr ? 0 : PyObject_IsTrue(value);
  if (truth >= 0) cycle_of(self).give_pongs(truth == 1);
  return truth < 0 ? -1 : 0;
}

PyObject* get_close_code(PyObject* self, void*) { return cycle_of(self).close_code(); }

PyObject* get_close_reason(PyObject* self, void*) { return cycle_of(self).close_reason(); }

PyMethodDef kMethods[] = {
    {"send_text", as_method(guarded<&call_send_data<&WebSocketCycle::send_text>>), METH_FASTCALL,
     "send_text(text, compress=None, /) -> awaitable: send() of one text, without its dictionary."},
    {"send_bytes", as_method(guarded<&call_send_data<&WebSocketCycle::send_bytes>>), METH_FASTCALL,
     "send_bytes(data, compress=None, /) -> awaitable: send() of one binary message, without its "
     "dictionary."},
    {"receive_data", guarded<&call_receive_data>, METH_NOARGS,
     "receive_data() -> awaitable of the next message's str or bytes.\n\nRaises OSError at the await once "
     "the "
     "WebSocket is closed and all messages have been received."},
    {"ping", as_method(guarded<&call_ping>), METH_VARARGS | METH_KEYWORDS,
     "ping(payload=b\"\") -> asyncio.Future of the seconds until its pong\n\nAt most 125 bytes (RFC 6455 "
     "5.5.2); a "
     "payload of the server's own where it is empty. Raises ValueError, and OSError once the WebSocket is "
     "closed, "
     "at once or at the await."},
    {"pong", as_method(guarded<&call_pong>), METH_VARARGS | METH_KEYWORDS,
     "pong(payload=b\"\"): a Pong that nobody asked for (RFC 6455 5.5.3), of at most 125 bytes\n\nRaises "
     "ValueError, and OSError once the WebSocket is closed."},
    {"statistics", guarded<&call_statistics>, METH_NOARGS, "statistics() -> dict: see docs/websocket.md."},
    {"subscribe", guarded<&call_subscribe>, METH_O,
     "subscribe(topic) -> whether it was not subscribed before. Raises OSError once the WebSocket is "
     "closed."},
    {"unsubscribe", guarded<&call_unsubscribe>, METH_O,
     "unsubscribe(topic) -> whether it was subscribed. Raises OSError once the WebSocket is closed."},
    {"publish", as_method(guarded<&call_publish>), METH_VARARGS | METH_KEYWORDS,
     "publish(topic, *, text=None, bytes=None) -> the number of WebSockets of this process that it goes "
     "to\n\n"
     "Raises ValueError unless one of both is given, and OSError once the WebSocket is closed."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef kAttributes[] = {
    {"close_code", get_close_code, nullptr, "As websocket.disconnect has it; None while not closed.",
     nullptr},
    {"close_reason", get_close_reason, nullptr, "As websocket.disconnect has it; empty while not closed.",
     nullptr},
    {"pong_events", get_pong_events, set_pong_events,
     "Whether receive() gives {'type': 'fasterapi.websocket.pong', 'bytes': payload} for each pong.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot kSlots[] = {{Py_tp_doc, const_cast<char*>("One WebSocket.")},
                        {Py_tp_dealloc, reinterpret_cast<void*>(deallocate<end_object>)},
                        {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                        {Py_tp_clear, reinterpret_cast<void*>(clear)},
                        {Py_tp_methods, kMethods},
                        {Py_tp_getset, kAttributes},
                        {0, nullptr}};

PyType_Spec kSpec = {"fasterapi._native.WebSocketCycle", sizeof(WebSocketCycleObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, kSlots};

}  // namespace

WebSocketObjects new_websocket(Module& module, Application& application, connection::Exchange& exchange) {
  auto* object = PyObject_GC_New(WebSocketCycleObject,
                                 reinterpret_cast<PyTypeObject*>(module.websocket_cycle_type.get()));
  if (object == nullptr) return {};
  auto* self = reinterpret_cast<PyObject*>(object);
  auto* native = new (object->storage) WebSocketCycle(module, application, exchange, self);
  PyObject_GC_Track(object);
  WebSocketObjects objects;
  objects.cycle = Ref::steal(self);
  objects.receive = Ref::steal(PyCFunction_New(&kReceive, self));
  objects.send = objects.receive ? Ref::steal(PyCFunction_New(&kSend, self)) : Ref();
  objects.native = objects.send ? native : nullptr;
  return objects;
}

int add_websocket_cycle_type(PyObject* module, Module& state) {
  return add_type(module, kSpec, state.websocket_cycle_type);
}

}  // namespace fasterapi::asgi
