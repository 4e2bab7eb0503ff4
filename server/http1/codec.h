// Turns the bytes of one HTTP/1 connection into events and responses into bytes (RFC 9112).
// Knows no socket, no clock, no thread and no Python. Owned by one connection.
//
// Order of events: Head, Body*, End, then nothing until resume(); further bytes are kept unparsed.
// A Failure is the last event ever: the codec is dead, and every later byte is ignored.
// Order of calls for the answer: [send_continue], send_head, send_body*, [send_trailers*], once for each
// request; resume() is legal when both the request's End was seen and the response is complete. Views in
// events live until the next call of receive() or resume(), those in head() until resume().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/failure.h"
#include "server/base/message.h"
#include "server/base/output.h"
#include "server/base/settings.h"

namespace fasterapi::http1 {

enum class EventKind : std::uint8_t { kHead, kBody, kEnd, kFailure };

struct Event {
  EventKind kind;
  std::string_view body;  // kBody only: never empty
};

// Lines that the server adds to a response's head unless the application set that field itself.
struct DefaultHeaders {
  std::string_view date;    // the value; empty: no such header
  std::string_view server;  // the value; empty: no such header
  std::string_view extra;   // whole lines "name: value\r\n", added always
};

class Codec {
 public:
  explicit Codec(const base::Settings& settings);
  ~Codec();
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;

  // Parses; the span lives until the next call. An empty `bytes` parses what was kept by a pause.
  std::span<const Event> receive(std::string_view bytes);
  // The peer sent its last byte. True: that was between two requests (clean); false: inside one.
  bool finish();
  // The next request may be parsed: call receive({}) afterwards when has_rest().
  void resume();
  bool has_rest() const;  // unparsed bytes are kept
  std::size_t rest_size() const;
  std::string take_rest();  // gives those bytes to the next protocol

  // Of the request in hand (after its Head event).
  const base::RequestHead& head() const;
  bool in_head() const;                  // some bytes of a head have come, but not all
  bool request_complete() const;         // End was seen
  const base::Failure& failure() const;  // after a Failure event

  // Writes "100 Continue" once, if the request expects it, no final head was sent and nothing of
  // the body has come.
  void send_continue();
  // The final head. Checks names, values, status (100..999 without 101; 1xx refused), one
  // content-length, no two framings; drops the application's transfer-encoding and
  // connection-specific fields, honours its "connection: close". Fails (500) writing nothing.
  base::Result<void> send_head(const base::ResponseHead& head, const DefaultHeaders& defaults);
  // Instead of a final head: "101 Switching Protocols" (RFC 9110 15.2.2), with the connection's own
  // "upgrade" and "connection" lines and whatever else is in `headers`, which are checked as send_head()
  // does. The connection speaks `protocol` from here on: take_rest() and output() have what is left.
  base::Result<void> switch_protocols(std::string_view protocol, std::span<const base::Header> headers,
                                      const DefaultHeaders& defaults);
  // Body bytes; framing as send_head decided. For HEAD, 204 and 304 the bytes are dropped.
  // Fails, writing nothing, when more than the announced content-length would be written, and
  // on Last::kYes when less was. Slices of at least settings.zero_copy_threshold are kept.
  base::Result<void> send_body(base::Slice bytes, base::Last last);
  base::Result<void> send_body(std::string_view bytes, base::Last last);
  // Fields behind the body, where send_head announced some: the response is complete with the last.
  // Written in a chunked response to a client that takes them (TE: trailers), else dropped. Fails,
  // writing nothing, before the body's end and for a field that no trailer may be.
  base::Result<void> send_trailers(std::span<const base::Header> fields, base::Last last);

  bool head_sent() const;
  bool response_complete() const;
  // A body would be dropped: HEAD, 204, 304.
  bool response_has_no_body() const;
  // Its body has begun, and may be of any length: chunked, or until the connection's end.
  bool response_open_ended() const;
  // From now on no response keeps the connection (drain, limits): adds "connection: close".
  void close_after_response();

  base::Output& output();
  const base::Output& output() const;
  // The connection ends after the response in hand (or at once, after a Failure).
  bool wants_close() const;

 private:
  struct Halves;  // RequestParser and ResponseEncoder; llhttp's header stays inside this room
  std::unique_ptr<Halves> halves_;
};

// A whole minimal response for a fault before or instead of an application's answer:
// text/plain with the reason phrase as its body, and "connection: close".
void append_error_response(base::Output& output, int status, const DefaultHeaders& defaults);

}  // namespace fasterapi::http1
