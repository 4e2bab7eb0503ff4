#include "asgi/websocket_cycle.h"

#include <memory>
#include <utility>

#include "asgi/application.h"
#include "server/websocket/close_code.h"

namespace fasterapi::asgi {

namespace {
// Pong events that wait for receive(); what a peer sends unasked beyond them is dropped.
constexpr std::size_t kMaxQueuedPongs = 32;

// A bytes object that nobody else has yet.
class BytesBuffer final : public websocket::MessageBuffer {
 public:
  char* resize(std::size_t size) override {
    PyObject* bytes = bytes_.release();
    if (bytes == nullptr) {
      bytes = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size));
    } else {
      _PyBytes_Resize(&bytes, static_cast<Py_ssize_t>(size));
    }
    bytes_ = Ref::steal(bytes);
    if (bytes_) return PyBytes_AS_STRING(bytes);
    PyErr_Clear();
    return nullptr;
  }

  Ref take() { return std::move(bytes_); }

 private:
  Ref bytes_;
};
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
  received(std::move(data), payload.size());
}

std::unique_ptr<websocket::MessageBuffer> WebSocketCycle::make_buffer() {
  return std::make_unique<BytesBuffer>();
}

void WebSocketCycle::on_message(std::unique_ptr<websocket::MessageBuffer> buffer, std::size_t size) {
  received(static_cast<BytesBuffer&>(*buffer).take(), size);
}

void WebSocketCycle::received(Ref data, std::size_t size) {
  if (!data) {
    report("A WebSocket message could not be received", take_error().get());
    leave(websocket::kInternalError);
    return closed(websocket::kInternalError, {});
  }
  received_.push({std::move(data), size});
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
  let_go();
  closed(code, reason);
}

connection::WebSocket* WebSocketCycle::let_go() {
  if (socket_ != nullptr) last_ = socket_->statistics();
  return std::exchange(socket_, nullptr);
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

void WebSocketCycle::taken(const ReceivedMessage& message) {
  if (socket_ != nullptr) return socket_->taken(message.size);
  ++last_.messages_received;
  last_.bytes_received += message.size;
}

// ASGI: the key that is not this message's kind is left out.
Ref WebSocketCycle::receive_event(const ReceivedMessage& message) {
  const Names& names = module_.names;
  if (message.is_pong) return pong_event(message);
  taken(message);
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
  return sent();
}

PyObject* WebSocketCycle::sent() {
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

// False, with the error set that says so. Of a message that was read only the kind: reading may have run the
// application's code, and that may have emptied the message.
bool WebSocketCycle::unexpected(const SocketMessage& message) {
  static constexpr const char* kTypes[] = {"websocket.accept", "websocket.send", "websocket.close",
                                           "websocket.http.response.start", "websocket.http.response.body"};
  static constexpr const char* kExpected[] = {
      "'websocket.accept', 'websocket.close' or 'websocket.http.response.start'",
      "'websocket.send' or 'websocket.close'", "'websocket.http.response.body'", "nothing more"};
  const char* expected = kExpected[static_cast<std::size_t>(state_)];
  if (message.kind == SocketMessageType::kUnknown) {
    PyErr_Format(PyExc_ValueError, "unexpected ASGI message %R: expected %s", message.type, expected);
  } else {
    PyErr_Format(PyExc_RuntimeError, "unexpected ASGI message '%s': expected %s",
                 kTypes[static_cast<std::size_t>(message.kind)], expected);
  }
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
  return send_payload(std::move(payload));
}

bool WebSocketCycle::send_payload(Payload payload) {
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
    if (!read_close(message, close)) return false;
    last_ = socket_->statistics();
    if (!succeed(socket_->close(close.code, close.reason))) return false;
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
  release_waiters();
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
  [[maybe_unused]] base::Result<void> closed = let_go()->close(code, {});
  fail_pings();
}

}  // namespace fasterapi::asgi
