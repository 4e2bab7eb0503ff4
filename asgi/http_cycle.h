// One HTTP request as the application sees it: receive() and send() (ASGI HTTP 2.5) on one side,
// the connection's Exchange on the other. A Python object: the application may keep it for ever,
// so it holds a link to the exchange that either side cuts, and asks before every use.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "asgi/cycle.h"
#include "asgi/messages.h"
#include "server/connection/exchange.h"

namespace fasterapi::asgi {

class HttpCycle final : public connection::ExchangeSink, public Cycle {
 public:
  HttpCycle(Module& module, Application& application, connection::Exchange& exchange, PyObject* self);
  ~HttpCycle();

  PyObject* receive();                // an awaitable; null with an error set
  PyObject* send(PyObject* message);  // an awaitable; null with an error set

  void on_body(std::string_view bytes) override;
  void on_body_end() override;
  void on_writable() override;
  void on_disconnect() override;
  void on_drain() override;
  void on_cut() override;

  bool poll(Ref& value) override;  // the next event for receive()

  // The extension fasterapi.sse (docs/sse.md); see EventStream.
  PyObject*
  open_event_stream();  // the one of this request, or None where it has ended; null with an error set
  // The next piece of the body, which is left empty, or with room for another. False with an error set.
  bool write(std::string& piece);
  // A piece of the server's own, if the answer has begun and nothing waits for the client. False: not now.
  bool interject(std::string_view piece);
  PyObject* written();  // what a send() returns that has written: an awaitable
  std::size_t queued() const { return exchange_ == nullptr ? 0 : exchange_->queued(); }
  Application& application() { return application_; }

  void on_run_end(PyObject* error) override;
  // The run could not even be started: the error that is set is reported and answered with 500.
  void on_start_failure();

  int traverse(visitproc visit, void* arg);
  void clear();

 private:
  bool poll_writable(Ref& value) override;
  Ref request_event();
  Ref disconnect_event();
  bool start(const Message& message);
  bool body(const Message& message);
  bool trailers(const Message& message);
  bool check_begun();
  void finish();
  void end_event_stream();
  // A peer that has only ended its side may still read; but once the application was told of a
  // disconnect, what it sends has nowhere to go (ASGI: send() raises OSError).
  bool gone() const { return exchange_ == nullptr || told_; }
  bool body_pending() const { return first_ || !rest_.empty(); }
  void answer_500();

  connection::Exchange* exchange_;  // null once either side has finished
  Ref first_;                       // request body: the first piece, as bytes, copied once
  std::string rest_;                // and what came before that was taken
  Ref event_stream_;                // null: was not asked for
  bool body_ended_ = false;
  bool end_delivered_ = false;  // receive() has given more_body False
  bool disconnected_ = false;
  bool told_ = false;  // the application knows: receive() has given http.disconnect, or its event stream
  bool started_ = false;
  bool trailers_due_ = false;  // announced: the answer ends with them
  bool complete_ = false;
};

struct HttpCycleObject {
  PyObject_HEAD std::optional<HttpCycle> cycle;  // nothing between two requests that share this object
};

// The Python objects of one request: the cycle, and the bound methods that the application is given.
struct CycleObjects {
  Ref cycle;
  Ref receive;
  Ref send;

  explicit operator bool() const { return static_cast<bool>(send); }
  // The cycle of a new exchange, attached to it.
  HttpCycle& begin(Module& module, Application& application, connection::Exchange& exchange);
  // Whether nobody else has a reference left: then they may serve another request.
  static bool unshared(const Ref& cycle, const Ref& receive, const Ref& send);
  void end();
};

// The cycle whose receive or send `call` is, as long as its request lasts; null for any other object.
HttpCycle* cycle_of(PyObject* call);

// False in the result, with an error set, when they cannot be made.
CycleObjects new_cycle_objects(Module& module);

}  // namespace fasterapi::asgi
