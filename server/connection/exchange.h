// One request and its answer, whatever the protocol version: where the connection and the
// application meet. The connection implements Exchange, the application's side ExchangeSink.
//
// The link between them is cut exactly once, by whichever side ends first:
//   - the connection, by on_cut(): the Exchange must not be used again;
//   - the application's side, by detach();
//   - both at once, by what completes the answer, a successful body(…, Last::kYes), or
//     trailers(…, Last::kYes) where the head announced them, or accept(): neither calls the other again.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "server/base/failure.h"
#include "server/base/message.h"
#include "server/base/output.h"
#include "server/connection/forwarded.h"
#include "server/connection/websocket.h"
#include "server/net/stream.h"
#include "server/websocket/handshake.h"

namespace fasterapi::connection {

// What the application's side remembers of a connection across its requests.
class Annotation {
 public:
  virtual ~Annotation() = default;
};

// The connection that a request came on.
struct Origin {
  net::Address peer;
  net::Address local;
  std::unique_ptr<Annotation> annotation;
};

class ExchangeSink {
 public:
  virtual void on_body(std::string_view bytes) = 0;  // never empty; a view until the call returns
  virtual void on_body_end() = 0;
  virtual void on_writable() = 0;    // writable() has become true again
  virtual void on_disconnect() = 0;  // the peer sends nothing more; it may still read
  virtual void on_drain() = 0;       // the server stops: an answer without end should find one
  virtual void on_cut() = 0;         // the connection is gone

 protected:
  ~ExchangeSink() = default;
};

class Exchange {
 public:
  // Who is told of the request's body and of the connection's end. Once for each exchange.
  virtual void attach(ExchangeSink& sink) = 0;
  // The application's side goes away. An answer that was not finished cuts the connection.
  virtual void detach() = 0;

  // The application waits for the request's body: sends "100 Continue" if that is expected.
  virtual void want_body() = 0;
  // The application has taken so many body bytes: the peer may send as many more.
  virtual void body_taken(std::size_t count) = 0;

  // The answer's head, then its body in pieces. A Failure is the application's fault, with
  // nothing written. See http1::Codec for what is checked.
  virtual base::Result<void> start(const base::ResponseHead& head) = 0;
  virtual base::Result<void> body(std::string_view bytes, base::Last last) = 0;
  virtual base::Result<void> body(base::Slice bytes, base::Last last) = 0;
  virtual base::Result<void> trailers(std::span<const base::Header> fields, base::Last last) = 0;
  // False when settings.write_high_water were queued and the peer did not take all, until on_writable().
  virtual bool writable() const = 0;
  // Bytes of the connection's answers that the peer's kernel has not taken.
  virtual std::size_t queued() const = 0;
  // The server stops: on_drain() was called, or would have been.
  virtual bool draining() const = 0;
  // The answer's body has begun, and no length was announced: it may have pieces of the server's own.
  virtual bool open_ended() const = 0;

  // The WebSocket that is asked for (RFC 6455 4.2.1): answered by accept(), or by any HTTP response, which
  // refuses it. Null: none is. Views as in the request's head.
  virtual const websocket::Handshake* handshake() const = 0;
  // Opens it: from here on `sink` and what is returned are each other's link. A Failure is the application's
  // fault, with nothing written. Only where handshake() is not null, and before start().
  virtual base::Result<WebSocket*> accept(const Acceptance& acceptance, WebSocketSink& sink) = 0;

  virtual Origin& origin() = 0;
  // What a trusted proxy says of this request's client; null: nothing.
  virtual const Forwarded* forwarded() const = 0;

 protected:
  ~Exchange() = default;
};

}  // namespace fasterapi::connection
