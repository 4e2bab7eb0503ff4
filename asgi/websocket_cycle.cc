#include "asgi/websocket_cycle.h"

#include <memory>
#include <new>
#include <utility>

#include "asgi/application.h"
#include "asgi/guard.h"
#include "server/websocket/close_code.h"

namespace fasterapi::asgi {

namespace {
// Pong events that wait for receive(); what a peer sends unasked beyond them is dropped.
constexpr std::size_t kMaxQueuedPongs = 32;
}  // namespace

WebSocketCycle::WebSocketCycle(Module& module, Application& application, connection::Exchange& exchange,
                               PyObject* self)
    : Cycle(module, application, self), exchange_(&exchange) {
  exchange.attach(*this);
}

WebSocketCycle::~WebSocketCycle() {
  if (exchange_ != nullptr) exchange_->detach();
  if (socket_ != nullptr) leave(websocket::kInternalError);
}

// --- From the connection -------------------------------------------------------------------

// The peer sends nothing more: there will be no WebSocket. It may still read an answer that has begun.
void WebSocketCycle::on_disconnect() {
  if (state_ == State::kDenying) return;
  std::exchange(exchange_, nullptr)->detach();
  closed(websocket::kAbnormalClosure, {});
}

void WebSocketCycle::on_cut() {
  exchange_ = nullptr;
  closed(websocket::kAbnormalClosure, {});
}

void WebSocketCycle::on_message(websocket::MessageKind kind, std::string_view payload) {
  Ref data = kind == websocket::MessageKind::kBinary
                 ? to_bytes(payload)
                 : Ref::steal(PyUnicode_DecodeUTF8(payload.data(), static_cast<Py_ssize_t>(payload.size()),
                                                   nullptr));
  if (!data) {
    report("A WebSocket message could not be received", take_error().get());
    leave(websocket::kInternalError);
    return closed(websocket::kInternalError, {});
  }
  received_.push({std::move(data), payload.size()});
  if (!receivers_.empty()) receivers_.wake(module_, application_.stepper());
}

void WebSocketCycle::on_pong(std::string_view payload) {
  end_pings(payload);
  if (!gives_pongs_ || queued_pongs_ >= kMaxQueuedPongs) return;
  Ref data = to_bytes(payload);
  if (!data) return PyErr_Clear();
  ++queued_pongs_;
  received_.push({std::move(data), 0, true});
  receivers_.wake(module_);
}

void WebSocketCycle::on_writable() { senders_.wake(module_); }

void WebSocketCycle::on_closed(std::uint16_t code, std::string_view reason) {
  socket_ = nullptr;
  closed(code, reason);
}

void WebSocketCycle::closed(std::uint16_t code, std::string_view reason) {
  state_ = State::kClosed;
  lost_ = true;
  code_ = code;
  reason_ = reason;
  receivers_.wake(module_);
  senders_.wake(module_);
  fail_pings();
}

// --- receive() -----------------------------------------------------------------------------

PyObject* WebSocketCycle::receive() { return new_awaitable(module_, self_, *this); }

bool WebSocketCycle::poll(Ref& value) {
  if (!std::exchange(connect_told_, true)) {
    value = connect_event();
    return true;
  }
  if (!received_.empty()) {
    value = receive_event(received_.pop());
    return true;
  }
  if (state_ != State::kClosed) return false;
  told_ = true;
  value = disconnect_event();
  return true;
}

Ref WebSocketCycle::connect_event() {
  Ref event = Ref::steal(PyDict_New());
  if (!event || PyDict_SetItem(event.get(), module_.names.type, module_.names.websocket_connect) != 0) {
    return Ref();
  }
  return event;
}

// ASGI: the key that is not this message's kind is left out.
Ref WebSocketCycle::receive_event(const ReceivedMessage& message) {
  const Names& names = module_.names;
  if (message.is_pong) return pong_event(message);
  if (socket_ != nullptr) socket_->taken(message.size);
  PyObject* key = PyUnicode_CheckExact(message.data.get()) ? names.text : names.bytes;
  Ref event = Ref::steal(PyDict_New());
  if (!event || PyDict_SetItem(event.get(), names.type, names.websocket_receive) != 0 ||
      PyDict_SetItem(event.get(), key, message.data.get()) != 0) {
    return Ref();
  }
  return event;
}

Ref WebSocketCycle::disconnect_event() {
  const Names& names = module_.names;
  Ref event = Ref::steal(PyDict_New());
  Ref code = Ref::steal(PyLong_FromLong(code_));
  Ref reason = to_str(reason_);
  if (!event || !code || !reason ||
      PyDict_SetItem(event.get(), names.type, names.websocket_disconnect) != 0 ||
      PyDict_SetItem(event.get(), names.code, code.get()) != 0 ||
      PyDict_SetItem(event.get(), names.reason, reason.get()) != 0) {
    return Ref();
  }
  return event;
}

// --- send() --------------------------------------------------------------------------------

PyObject* WebSocketCycle::send(PyObject* message) {
  SocketMessage read;
  if (!read_socket_message(module_, message, read) || !dispatch(read)) {
    return new_failed_awaitable(module_, take_error());
  }
  const bool full = socket_ != nullptr     ? !socket_->writable()
                    : exchange_ != nullptr ? !exchange_->writable()
                                           : false;
  return full ? drained() : Py_NewRef(module_.completed.get());
}

bool WebSocketCycle::dispatch(const SocketMessage& message) {
  switch (message.kind) {
    case SocketMessageType::kSend:
      return send_data(message);
    case SocketMessageType::kAccept:
      return accept(message);
    case SocketMessageType::kClose:
      return close(message);
    case SocketMessageType::kResponseStart:
      return start_denial(message);
    case SocketMessageType::kResponseBody:
      return deny(message);
    case SocketMessageType::kUnknown:
      break;
  }
  return unexpected(message);
}

// False, with the error set that says so.
bool WebSocketCycle::unexpected(const SocketMessage& message) {
  static constexpr const char* kExpected[] = {
      "'websocket.accept', 'websocket.close' or 'websocket.http.response.start'",
      "'websocket.send' or 'websocket.close'", "'websocket.http.response.body'", "nothing more"};
  const bool known = message.kind != SocketMessageType::kUnknown;
  PyErr_Format(known ? PyExc_RuntimeError : PyExc_ValueError, "unexpected ASGI message %R: expected %s",
               message.type, kExpected[static_cast<std::size_t>(state_)]);
  return false;
}

bool WebSocketCycle::refuse_closed() {
  PyErr_SetString(module_.client_disconnected.get(),
                  lost_ ? "the client has disconnected" : "the WebSocket was closed by the application");
  return false;
}

// What the connection refuses is the application's fault.
bool WebSocketCycle::succeed(const base::Result<void>& result) {
  if (!result) PyErr_SetString(PyExc_ValueError, result.failure().reason.c_str());
  return static_cast<bool>(result);
}

bool WebSocketCycle::accept(const SocketMessage& message) {
  AcceptMessage accept;
  if (!read_accept(message, accept)) return false;
  if (state_ == State::kClosed) return refuse_closed();
  if (state_ != State::kConnecting) return unexpected(message);
  // The connection may be cut while it opens: on_closed() has the last word.
  state_ = State::kOpen;
  connection::Exchange* exchange = std::exchange(exchange_, nullptr);
  auto opened = exchange->accept({accept.subprotocol, accept.headers.view()}, *this);
  if (!opened) {
    state_ = State::kConnecting;
    exchange_ = exchange;
    PyErr_SetString(PyExc_ValueError, opened.failure().reason.c_str());
    return false;
  }
  if (state_ == State::kOpen) socket_ = *opened;
  return true;
}

bool WebSocketCycle::send_data(const SocketMessage& message) {
  Payload payload;
  if (!read_payload(message.text, message.bytes, message.compress, payload)) return false;
  if (state_ == State::kClosed) return refuse_closed();
  if (state_ != State::kOpen) return unexpected(message);
  if (payload.bytes.size() < application_.zero_copy_threshold() ||
      payload.compress != websocket::Compress::kAuto) {
    return succeed(socket_->send(payload.kind, payload.bytes, payload.compress));
  }
  base::Slice slice(payload.bytes, payload.owner.release(),
                    [](void* owner) { Py_DECREF(static_cast<PyObject*>(owner)); });
  return succeed(socket_->send(payload.kind, std::move(slice)));
}

bool WebSocketCycle::close(const SocketMessage& message) {
  if (state_ == State::kClosed) return refuse_closed();
  if (state_ == State::kDenying) return unexpected(message);
  if (state_ == State::kConnecting) {
    // ASGI: closed before it was accepted, the handshake is answered 403. Code and reason go nowhere and are
    // not read: FastAPI gives its validation errors, a list, as the reason.
    state_ = State::kClosed;
    code_ = websocket::kAbnormalClosure;
    connection::Exchange* exchange = std::exchange(exchange_, nullptr);
    if (!answer_error(*exchange, 403)) exchange->detach();
  } else {
    CloseMessage close;
    if (!read_close(message, close) || !succeed(socket_->close(close.code, close.reason))) return false;
    socket_ = nullptr;
    state_ = State::kClosed;
    code_ = close.code;
    reason_ = close.reason;
    received_.clear();
  }
  receivers_.wake(module_);
  senders_.wake(module_);
  fail_pings();
  return true;
}

// ASGI "websocket.http.response": any HTTP response instead of a WebSocket.
bool WebSocketCycle::start_denial(const SocketMessage& message) {
  Message start;
  start.status = message.status;
  start.headers = message.headers;
  int status = 0;
  bool trailers = false;
  HeaderList headers;
  if (!read_start(module_, start, status, headers, trailers)) return false;
  if (state_ == State::kClosed) return refuse_closed();
  if (state_ != State::kConnecting) return unexpected(message);
  if (!succeed(exchange_->start({status, headers.view()}))) return false;
  state_ = State::kDenying;
  return true;
}

bool WebSocketCycle::deny(const SocketMessage& message) {
  Message given;
  given.body = message.body;
  given.more_body = message.more_body;
  BodyMessage body;
  if (!read_body(module_, given, body)) return false;
  if (state_ == State::kClosed) return refuse_closed();
  if (state_ != State::kDenying) return unexpected(message);
  if (!succeed(exchange_->body(bytes_view(body.body.get()), body.last))) return false;
  if (body.last == base::Last::kNo) return true;
  exchange_ = nullptr;
  state_ = State::kClosed;
  code_ = websocket::kAbnormalClosure;
  receivers_.wake(module_);
  return true;
}

bool WebSocketCycle::poll_writable(Ref& value) {
  const bool waits =
      (socket_ != nullptr && !socket_->writable()) || (exchange_ != nullptr && !exchange_->writable());
  if (waits) return false;
  if (state_ == State::kClosed && lost_) {
    refuse_closed();
  } else {
    value = Ref::share(Py_None);
  }
  return true;
}

// --- The end of the run --------------------------------------------------------------------

void WebSocketCycle::on_run_end(PyObject* error) {
  if (error != nullptr) {
    bool innocent = is_cancelled(error) || (state_ == State::kClosed && is_disconnect(error));
    if (!innocent) report("Exception in ASGI application\n", error);
  } else if (state_ == State::kConnecting) {
    report("ASGI callable returned without sending handshake.", nullptr);
  } else if (state_ == State::kDenying) {
    report("ASGI callable returned without completing response.", nullptr);
  }
  if (connection::Exchange* exchange = std::exchange(exchange_, nullptr)) {
    const bool begun = std::exchange(state_, State::kClosed) == State::kDenying;
    if (begun || !answer_error(*exchange, 500)) exchange->detach();
  }
  if (socket_ != nullptr) leave(error == nullptr ? websocket::kNormalClosure : websocket::kInternalError);
  application_.run_ended();
}

void WebSocketCycle::on_start_failure() {
  Ref error = take_error();
  report("Exception in ASGI application\n", error.get());
  connection::Exchange* exchange = std::exchange(exchange_, nullptr);
  state_ = State::kClosed;
  if (exchange != nullptr && !answer_error(*exchange, 500)) exchange->detach();
}

// The application's side ends, without a word of the application's.
void WebSocketCycle::leave(std::uint16_t code) {
  state_ = State::kClosed;
  code_ = code;
  connection::WebSocket* socket = std::exchange(socket_, nullptr);
  [[maybe_unused]] base::Result<void> closed = socket->close(code, {});
  fail_pings();
}

// --- The Python object ---------------------------------------------------------------------

namespace {

struct WebSocketCycleObject {
  PyObject_HEAD alignas(WebSocketCycle) unsigned char storage[sizeof(WebSocketCycle)];
};

WebSocketCycle& cycle_of(PyObject* object) {
  return *reinterpret_cast<WebSocketCycle*>(reinterpret_cast<WebSocketCycleObject*>(object)->storage);
}

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

void deallocate(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  std::destroy_at(&cycle_of(object));
  type->tp_free(object);
  Py_DECREF(type);
}

// --- The extension -------------------------------------------------------------------------

PyObject* call_ping(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"payload", nullptr};
  Py_buffer payload{};
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|y*", const_cast<char**>(names), &payload)) {
    return nullptr;
  }
  const char* data = payload.buf == nullptr ? "" : static_cast<const char*>(payload.buf);
  const std::string copy(data, static_cast<std::size_t>(payload.len));
  if (payload.obj != nullptr) PyBuffer_Release(&payload);
  return cycle_of(self).ping(copy);
}

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

PyMethodDef kMethods[] = {
    {"ping", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(guarded<&call_ping>)),
     METH_VARARGS | METH_KEYWORDS,
     "ping(payload=b\"\") -> asyncio.Future of the seconds until its pong\n\nAt most 125 bytes (RFC 6455 "
     "5.5.2); a "
     "payload of the server's own where it is empty. Raises ValueError, and OSError once the WebSocket is "
     "closed, "
     "at once or at the await."},
    {"statistics", guarded<&call_statistics>, METH_NOARGS, "statistics() -> dict: see docs/websocket.md."},
    {"subscribe", guarded<&call_subscribe>, METH_O,
     "subscribe(topic) -> whether it was not subscribed before. Raises OSError once the WebSocket is "
     "closed."},
    {"unsubscribe", guarded<&call_unsubscribe>, METH_O,
     "unsubscribe(topic) -> whether it was subscribed. Raises OSError once the WebSocket is closed."},
    {"publish", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(guarded<&call_publish>)),
     METH_VARARGS | METH_KEYWORDS,
     "publish(topic, *, text=None, bytes=None) -> the number of WebSockets of this process that it goes "
     "to\n\n"
     "Raises ValueError unless one of both is given, and OSError once the WebSocket is closed."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef kAttributes[] = {
    {"pong_events", get_pong_events, set_pong_events,
     "Whether receive() gives {'type': 'fasterapi.websocket.pong', 'bytes': payload} for each pong.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot kSlots[] = {{Py_tp_doc, const_cast<char*>("One WebSocket.")},
                        {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
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
