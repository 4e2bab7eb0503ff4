// The extension fasterapi.websocket (docs/websocket.md): what a WebSocketCycle does beyond ASGI.
#include <chrono>
#include <utility>

#include "asgi/application.h"
#include "asgi/websocket_cycle.h"

namespace fasterapi::asgi {

namespace {

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

bool put(PyObject* dict, const char* key, Ref value) {
  return value && PyDict_SetItemString(dict, key, value.get()) == 0;
}

Ref number(std::uint64_t value) { return Ref::steal(PyLong_FromUnsignedLongLong(value)); }

// Completes a future unless its waiter has gone.
void complete(Module& module, PyObject* future, PyObject* method, PyObject* value) {
  Ref done = call_method(future, module.names.done);
  if (done && done.get() == Py_False) Ref completed = call_method(future, method, value);
  if (PyErr_Occurred()) PyErr_Clear();  // its loop has closed
}

}  // namespace

// False with an error set.
bool WebSocketCycle::check_open() {
  if (state_ == State::kClosed) return refuse_closed();
  if (socket_ != nullptr) return true;
  PyErr_SetString(PyExc_RuntimeError, "the WebSocket was not accepted");
  return false;
}

PyObject* WebSocketCycle::send_text(PyObject* text, PyObject* compress) {
  return send_given(text, nullptr, compress);
}

PyObject* WebSocketCycle::send_bytes(PyObject* data, PyObject* compress) {
  return send_given(nullptr, data, compress);
}

PyObject* WebSocketCycle::send_given(PyObject* text, PyObject* bytes, PyObject* compress) {
  Payload payload;
  if (text == Py_None || bytes == Py_None) {
    PyErr_SetString(PyExc_TypeError, "a WebSocket message must be str or bytes, not None");
    return new_failed_awaitable(module_, take_error());
  }
  if (!read_payload(text, bytes, compress, payload) || !check_open() || !send_payload(std::move(payload))) {
    return new_failed_awaitable(module_, take_error());
  }
  return sent();
}

PyObject* WebSocketCycle::receive_data() {
  if (state_ != State::kClosed && !check_open()) return new_failed_awaitable(module_, take_error());
  return new_awaitable(module_, self_, data_);
}

bool WebSocketCycle::poll_data(Ref& value) {
  connect_told_ = true;
  while (!received_.empty()) {
    ReceivedMessage message = received_.pop();
    if (message.is_pong) {
      --queued_pongs_;
      continue;
    }
    taken(message);
    value = std::move(message.data);
    return true;
  }
  if (state_ != State::kClosed) return false;
  refuse_closed();
  return true;
}

PyObject* WebSocketCycle::close_code() {
  if (state_ != State::kClosed) return Py_NewRef(Py_None);
  return PyLong_FromLong(code_);
}

PyObject* WebSocketCycle::close_reason() { return to_str(reason_).release(); }

PyObject* WebSocketCycle::pong(std::string_view payload) {
  if (!check_open() || !succeed(socket_->pong(payload))) return nullptr;
  return Py_NewRef(Py_None);
}

PyObject* WebSocketCycle::ping(std::string_view payload) {
  if (!check_open()) return nullptr;
  drop_ended_pings();
  SentPing ping{std::string(payload), now_ns(), Ref()};
  if (payload.empty()) ping.payload = "ping " + std::to_string(++ping_number_);
  for (const SentPing& other : pings_) {
    if (other.payload == ping.payload) {
      PyErr_SetString(PyExc_ValueError, "a ping with this payload waits for its pong already");
      return nullptr;
    }
  }
  ping.future = call_method(loop(), module_.names.create_future);
  if (!ping.future || !check_open() || !succeed(socket_->ping(ping.payload))) return nullptr;
  Ref future = ping.future;
  pings_.push_back(std::move(ping));
  return future.release();
}

// Those of which nobody waits for the pong any more: a peer that never answers must not make them many.
void WebSocketCycle::drop_ended_pings() {
  std::vector<SentPing> waiting;
  // Taken out while futures, which may be the application's, are asked.
  for (SentPing& ping : std::exchange(pings_, {})) {
    Ref done = call_method(ping.future.get(), module_.names.done);
    if (!done) PyErr_Clear();
    if (done.get() != Py_True) waiting.push_back(std::move(ping));
  }
  pings_.insert(pings_.begin(), std::make_move_iterator(waiting.begin()),
                std::make_move_iterator(waiting.end()));
}

// RFC 6455 5.5.3: a peer may answer only the latest of several pings; the earlier ones are answered with it.
void WebSocketCycle::end_pings(std::string_view payload) {
  std::size_t count = 0;
  while (count < pings_.size() && pings_[count].payload != payload) ++count;
  if (count == pings_.size()) return;
  const std::int64_t now = now_ns();
  std::vector<SentPing> answered(
      std::make_move_iterator(pings_.begin()),
      std::make_move_iterator(pings_.begin() + static_cast<std::ptrdiff_t>(count) + 1));
  pings_.erase(pings_.begin(), pings_.begin() + static_cast<std::ptrdiff_t>(count) + 1);
  ErrorKept kept;
  for (const SentPing& ping : answered) {
    Ref seconds = Ref::steal(PyFloat_FromDouble(static_cast<double>(now - ping.sent_ns) / 1e9));
    if (seconds) complete(module_, ping.future.get(), module_.names.set_result, seconds.get());
  }
}

void WebSocketCycle::fail_pings() {
  if (pings_.empty()) return;
  ErrorKept kept;
  for (const SentPing& ping : std::exchange(pings_, {})) {
    Ref error = Ref::steal(PyObject_CallFunction(module_.client_disconnected.get(), "s",
                                                 "the WebSocket was closed before the pong came"));
    if (error) complete(module_, ping.future.get(), module_.names.set_exception, error.get());
  }
}

Ref WebSocketCycle::pong_event(const ReceivedMessage& message) {
  --queued_pongs_;
  const Names& names = module_.names;
  Ref event = Ref::steal(PyDict_New());
  if (!event || PyDict_SetItem(event.get(), names.type, names.websocket_pong) != 0 ||
      PyDict_SetItem(event.get(), names.bytes, message.data.get()) != 0) {
    return Ref();
  }
  return event;
}

PyObject* WebSocketCycle::statistics() {
  if (state_ != State::kClosed && !check_open()) return nullptr;
  const connection::WebSocketStatistics given = socket_ != nullptr ? socket_->statistics() : last_;
  Ref dict = Ref::steal(PyDict_New());
  if (!dict) return nullptr;
  Ref latency = given.latency
                    ? Ref::steal(PyFloat_FromDouble(static_cast<double>(given.latency->count()) / 1000))
                    : Ref::share(Py_None);
  PyObject* target = dict.get();
  const bool made = put(target, "messages_received", number(given.messages_received)) &&
                    put(target, "messages_sent", number(given.messages_sent)) &&
                    put(target, "bytes_received", number(given.bytes_received)) &&
                    put(target, "bytes_sent", number(given.bytes_sent)) &&
                    put(target, "messages_dropped", number(given.messages_dropped)) &&
                    put(target, "queued", number(given.queued)) &&
                    put(target, "deflates", Ref::steal(PyBool_FromLong(given.deflates ? 1 : 0))) &&
                    put(target, "latency", std::move(latency));
  return made ? dict.release() : nullptr;
}

PyObject* WebSocketCycle::subscribe(std::string_view topic) {
  return check_open() ? PyBool_FromLong(socket_->subscribe(topic) ? 1 : 0) : nullptr;
}

PyObject* WebSocketCycle::unsubscribe(std::string_view topic) {
  return check_open() ? PyBool_FromLong(socket_->unsubscribe(topic) ? 1 : 0) : nullptr;
}

PyObject* WebSocketCycle::publish(std::string_view topic, PyObject* text, PyObject* bytes) {
  Payload payload;
  if (!read_payload(text, bytes, nullptr, payload) || !check_open()) return nullptr;
  return PyLong_FromSize_t(socket_->publish(topic, payload.kind, payload.bytes));
}

int WebSocketCycle::traverse_pings(visitproc visit, void* arg) {
  for (const SentPing& ping : pings_) Py_VISIT(ping.future.get());
  return 0;
}

}  // namespace fasterapi::asgi
