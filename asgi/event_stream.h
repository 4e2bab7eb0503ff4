// The extension fasterapi.sse (docs/sse.md): events from Python straight to bytes of the body, comments while
// the stream is idle, and the client's leaving, all without a Python task. A Python object that belongs to
// one request's HttpCycle; the application may keep it for ever, so its link to the cycle is cut when the
// request ends, before the cycle's own object serves another.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "asgi/module.h"
#include "server/net/timer.h"
#include "server/sse/encoder.h"

namespace fasterapi::asgi {

class HttpCycle;

class EventStream {
 public:
  EventStream(Module& module, HttpCycle& cycle, bool left, bool draining);

  // An awaitable, which raises whatever is wrong. Null with an error set.
  PyObject* send(const sse::Event& event);
  PyObject* comment(std::string_view text);
  // Zero: no more. Does nothing where the stream has ended.
  void keep_alive(std::chrono::milliseconds interval);
  // Null: nobody. False with an error set.
  bool on_disconnect(PyObject* callback);
  bool on_shutdown(PyObject* callback);
  PyObject* statistics();  // a dict; null with an error set

  // From the cycle.
  void sent();   // a piece of the body
  void left();   // the client has gone
  void drain();  // the server stops
  void end();    // the request is over: cuts the link

  Module& module() { return module_; }
  int traverse(visitproc visit, void* arg);
  void clear();

 private:
  // Who is told of something once.
  struct Listener {
    Ref callback;
    Ref context;  // in which
  };

  PyObject* refuse();
  template <class Append>
  bool write(Append append);
  PyObject* outcome(bool sent);
  bool listen(Listener& listener, PyObject* callback);
  bool tell(Listener& listener);
  void tell_later(Listener& listener);
  void ping();

  Module& module_;
  HttpCycle* cycle_;  // null: the request is over
  Ref loop_;
  Listener departure_;  // each until it was told
  Listener shutdown_;
  std::optional<net::Deadline> alarm_;
  std::chrono::milliseconds interval_{0};
  std::uint64_t events_sent_ = 0;
  std::uint64_t bytes_sent_ = 0;  // of events and comments
  bool left_;
  bool draining_;
};

// Null with an error set. `left`: the client has gone already; `draining`: the server stops already.
Ref new_event_stream(Module& module, HttpCycle& cycle, bool left, bool draining);
EventStream& event_stream_of(PyObject* object);
// The module's open_event_stream(send): that of the request that `send` was given for. None for any other
// object, a middleware's for example, and where the request has ended. Null with an error set.
PyObject* open_event_stream(PyObject* module, PyObject* send);

}  // namespace fasterapi::asgi
