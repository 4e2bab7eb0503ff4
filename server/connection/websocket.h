// One open WebSocket: where the connection and the application meet once an Exchange was accepted.
// The connection implements WebSocket, the application's side WebSocketSink.
//
// The link between them is cut exactly once, by whichever side ends first:
//   - the connection, by on_closed(): the WebSocket must not be used again;
//   - the application's side, by close(), which does not call back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "server/base/failure.h"
#include "server/base/message.h"
#include "server/base/output.h"
#include "server/base/settings.h"
#include "server/websocket/codec.h"
#include "server/websocket/message.h"

namespace fasterapi::connection {

class WebSocketSink {
 public:
  // A whole message. A view until the call returns.
  virtual void on_message(websocket::MessageKind kind, std::string_view payload) = 0;
  // Memory for a large binary message, and that message. Null: on_message() is to have it.
  virtual std::unique_ptr<websocket::MessageBuffer> make_buffer() = 0;
  virtual void on_message(std::unique_ptr<websocket::MessageBuffer> buffer, std::size_t size) = 0;
  // The answer to a ping() of ours, or one that was not asked for.
  virtual void on_pong(std::string_view payload) = 0;
  virtual void on_writable() = 0;  // writable() has become true again
  // The connection's close code and reason as the application has to learn them (RFC 6455 7.1.5, 7.1.6):
  // the peer's, or 1005 where its Close had none, 1006 where none came, 1001 and 1012 where the server
  // stops or restarts, or what we failed the connection with.
  virtual void on_closed(std::uint16_t code, std::string_view reason) = 0;

 protected:
  ~WebSocketSink() = default;
};

// With what an Exchange is accepted.
struct Acceptance {
  std::string_view subprotocol;           // empty: none
  std::span<const base::Header> headers;  // more lines for the answer
};

struct WebSocketStatistics {
  std::uint64_t messages_received = 0;  // that the application has taken
  std::uint64_t messages_sent = 0;
  std::uint64_t bytes_received = 0;           // of their payloads, inflated
  std::uint64_t bytes_sent = 0;               // of messages' payloads, before they are deflated
  std::uint64_t messages_dropped = 0;         // published to this receiver, which was too slow
  std::size_t queued = 0;                     // bytes that the peer's kernel has not taken
  bool deflates = false;                      // permessage-deflate was negotiated
  std::optional<base::Milliseconds> latency;  // of the last keep-alive ping
};

class WebSocket {
 public:
  // The application has taken a message of so many bytes from its queue: more may come.
  virtual void taken(std::size_t bytes) = 0;

  // A Failure is the application's fault, or want of memory to deflate, with nothing written.
  virtual base::Result<void> send(websocket::MessageKind kind, std::string_view payload,
                                  websocket::Compress compress) = 0;
  virtual base::Result<void> send(websocket::MessageKind kind, base::Slice payload) = 0;
  virtual base::Result<void> ping(std::string_view payload) = 0;
  virtual base::Result<void> pong(std::string_view payload) = 0;
  // A message that is published to a topic goes to all who have subscribed to it, at most once: not to one
  // of whom more than settings.write_high_water bytes wait. False: nothing was changed by it.
  virtual bool subscribe(std::string_view topic) = 0;
  virtual bool unsubscribe(std::string_view topic) = 0;
  // To how many receivers it goes, this one among them if it has subscribed.
  virtual std::size_t publish(std::string_view topic, websocket::MessageKind kind,
                              std::string_view payload) = 0;
  // The application is done: what it sent is delivered, then the close handshake follows. A Failure (a
  // code that must not be sent, a reason too long) has written nothing, and the link goes on.
  virtual base::Result<void> close(std::uint16_t code, std::string_view reason) = 0;
  // False when settings.write_high_water were queued and the peer did not take all, until on_writable().
  virtual bool writable() const = 0;
  virtual WebSocketStatistics statistics() = 0;

 protected:
  ~WebSocket() = default;
};

}  // namespace fasterapi::connection
