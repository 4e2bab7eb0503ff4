// One WebSocket as the application sees it: receive() and send() (ASGI WebSocket 2.5) on one side, first
// the Exchange of the handshake and then the connection's WebSocket on the other. A Python object: the
// application may keep it for ever, so it holds a link that either side cuts, and asks before every use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "asgi/cycle.h"
#include "asgi/websocket_messages.h"
#include "server/connection/exchange.h"
#include "server/connection/websocket.h"

namespace fasterapi::asgi {

struct ReceivedMessage {
  Ref data;              // str or bytes
  std::size_t size = 0;  // of its payload, bytes
  bool is_pong = false;
};

// A ping of the application's that waits for its pong.
struct SentPing {
  std::string payload;
  std::int64_t sent_ns = 0;
  Ref future;  // of the seconds that it took
};

// Messages that the application has not received. Holds no memory while empty.
class ReceivedMessages {
 public:
  void push(ReceivedMessage message) { messages_.push_back(std::move(message)); }
  ReceivedMessage pop() {
    ReceivedMessage message = std::move(messages_[first_++]);
    if (first_ == messages_.size()) clear();
    return message;
  }
  bool empty() const { return messages_.empty(); }
  void clear() {
    messages_ = {};
    first_ = 0;
  }

 private:
  std::vector<ReceivedMessage> messages_;
  std::size_t first_ = 0;
};

class WebSocketCycle final : public connection::ExchangeSink, public connection::WebSocketSink, public Cycle {
 public:
  WebSocketCycle(Module& module, Application& application, connection::Exchange& exchange, PyObject* self);
  ~WebSocketCycle();

  PyObject* receive();                // an awaitable; null with an error set
  PyObject* send(PyObject* message);  // an awaitable; null with an error set

  void on_body(std::string_view) override {}  // the request of a WebSocket has none
  void on_body_end() override {}
  void on_disconnect() override;
  void on_drain() override {}  // a handshake gets its answer; an open WebSocket is closed by the connection
  void on_cut() override;

  void on_message(websocket::MessageKind kind, std::string_view payload) override;
  std::unique_ptr<websocket::MessageBuffer> make_buffer() override;
  void on_message(std::unique_ptr<websocket::MessageBuffer> buffer, std::size_t size) override;
  void on_pong(std::string_view payload) override;
  void on_writable() override;  // of either link
  void on_closed(std::uint16_t code, std::string_view reason) override;

  bool poll(Ref& value) override;  // the next event for receive()

  // The extension fasterapi.websocket (docs/websocket.md); each is null with an error set.
  PyObject* send_text(PyObject* text, PyObject* compress);   // as send()
  PyObject* send_bytes(PyObject* data, PyObject* compress);  // as send()
  PyObject* receive_data();                                  // an awaitable of str or bytes
  PyObject* pong(std::string_view payload);
  PyObject* close_code();
  PyObject* close_reason();
  PyObject* ping(std::string_view payload);  // an awaitable of seconds
  PyObject* statistics();                    // a dict
  PyObject* subscribe(std::string_view topic);
  PyObject* unsubscribe(std::string_view topic);
  PyObject* publish(std::string_view topic, PyObject* text, PyObject* bytes);
  bool gives_pongs() const { return gives_pongs_; }
  void give_pongs(bool give) { gives_pongs_ = give; }

  int traverse_pings(visitproc visit, void* arg);
  void clear_pings() { pings_.clear(); }

  void on_run_end(PyObject* error) override;
  // The run could not even be started: the error that is set is reported and answered with 500.
  void on_start_failure();

 private:
  enum class State : std::uint8_t { kConnecting, kOpen, kDenying, kClosed };

  // The next message for receive_data().
  class Data final : public Awaited {
   public:
    explicit Data(WebSocketCycle& cycle) : cycle_(cycle) {}
    bool poll(Ref& value) override { return cycle_.poll_data(value); }
    Waiters& waiters() override { return cycle_.receivers_; }
    PyObject* loop() override { return cycle_.loop(); }

   private:
    WebSocketCycle& cycle_;
  };

  bool poll_writable(Ref& value) override;
  void received(Ref data, std::size_t size);
  bool poll_data(Ref& value);
  void taken(const ReceivedMessage& message);
  PyObject* sent();  // what a send() returns that has succeeded
  PyObject* send_given(PyObject* text, PyObject* bytes, PyObject* compress);
  bool send_payload(Payload payload);
  // The WebSocket is not used any more; its figures are kept.
  connection::WebSocket* let_go();
  Ref connect_event();
  Ref pong_event(const ReceivedMessage& message);
  Ref receive_event(const ReceivedMessage& message);
  Ref disconnect_event();
  bool dispatch(const SocketMessage& message);
  bool unexpected(const SocketMessage& message);
  bool accept(const SocketMessage& message);
  bool send_data(const SocketMessage& message);
  bool close(const SocketMessage& message);
  bool start_denial(const SocketMessage& message);
  bool deny(const SocketMessage& message);
  bool succeed(const base::Result<void>& result);
  void closed(std::uint16_t code, std::string_view reason);
  void leave(std::uint16_t code);
  // The peer is gone, or the application itself has closed: nothing can be sent.
  bool refuse_closed();
  bool check_open();
  void end_pings(std::string_view payload);
  void drop_ended_pings();
  void fail_pings();

  connection::Exchange* exchange_;           // null once either side has finished
  connection::WebSocket* socket_ = nullptr;  // as that, from the accept on
  connection::WebSocketStatistics last_;     // once it is closed
  Data data_{*this};
  ReceivedMessages received_;
  std::vector<SentPing> pings_;
  std::uint64_t ping_number_ = 0;
  std::size_t queued_pongs_ = 0;
  std::string reason_;
  std::uint16_t code_ = 0;  // with which the WebSocket was closed
  State state_ = State::kConnecting;
  bool connect_told_ = false;  // receive() has given websocket.connect
  bool gives_pongs_ = false;   // receive() gives fasterapi.websocket.pong
  bool lost_ = false;          // closed by the peer or the server, not by the application
};

// The Python object of a new cycle, attached to the exchange, and the callables that the application is
// given.
struct WebSocketObjects {
  Ref cycle;
  Ref receive;
  Ref send;
  WebSocketCycle* native = nullptr;
};

// Without objects, and with an error set, when they cannot be made.
WebSocketObjects new_websocket(Module& module, Application& application, connection::Exchange& exchange);

}  // namespace fasterapi::asgi
