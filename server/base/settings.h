// Every limit and timeout of the server, each with the reason for its value.
// One Settings object is made at start-up and passed by const reference; nobody keeps a global.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace fasterapi::base {

using Milliseconds = std::chrono::milliseconds;

inline constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

// What a WebSocket connection may cost, and how its peer is watched (RFC 6455, RFC 7692).
struct WebSocketSettings {
  // --- Size ---------------------------------------------------------------------------------
  // One message, whole and inflated; uvicorn's default. Above it the connection fails with 1009.
  std::size_t max_message = 16 * 1024 * 1024;
  // Messages that the application has not received, and their bytes, at which the socket is no longer
  // read; uvicorn's count. One message may be larger than that.
  std::size_t max_queue = 32;
  std::size_t queue_high_water = 64 * 1024;
  // Frames interpreted in one turn of the loop before others run: small frames are work, not bytes.
  unsigned max_frames_per_turn = 64;
  // Frames that one message may have: each costs a header's work, and an empty one nothing else. Autobahn's
  // 4 MiB in pieces of 64 bytes fit.
  std::size_t max_fragments = 128 * 1024;
  // Payloads of at least this size are sent in place; Settings::zero_copy_threshold has the reason.
  std::size_t zero_copy_threshold = 16 * 1024;
  // Binary frames that are a message of at least this size are received in place. Each ends a turn; the copy
  // that it saves is of what no longer lies in the cache.
  std::size_t in_place_threshold = 64 * 1024;

  // --- Time ---------------------------------------------------------------------------------
  // A peer that vanished without a FIN is noticed by a ping without a pong; uvicorn's defaults.
  Milliseconds ping_interval{20'000};  // zero: no pings
  Milliseconds ping_timeout{20'000};   // zero: the answer is not waited for
  // From our Close frame until the peer's: one round trip and a slow event loop.
  Milliseconds close_timeout{5'000};

  // --- permessage-deflate -------------------------------------------------------------------
  bool deflate = true;
  // Without context take-over each message is deflated on its own: no window is kept between two.
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  // 2^bits bytes of window: 12 is 4 KiB instead of 32, and loses little on messages of some kilobytes.
  int server_max_window_bits = 12;  // 9..15
  int client_max_window_bits = 12;  // 9..15
  // ISA-L's, 1..3: on 1 KiB of JSON 1 takes 6 us and leaves 238 bytes, 3 takes 10 and leaves 237.
  int deflate_level = 1;
  // 1..9: 2^(level + 5) bytes of what was sent are kept for later messages to refer to: 1 KiB, for 14 % fewer
  // bytes of such messages than with none, and no more with 4 KiB.
  int deflate_memory_level = 5;
  // Shorter messages go out plain: deflate would make many of them longer.
  std::size_t deflate_threshold = 64;

  // Values of Origin that may open a WebSocket; empty: the application decides.
  std::vector<std::string> allowed_origins;
};

struct Settings {
  // --- Size of a request's head -------------------------------------------------------------
  // 8 KiB is what nginx gives one line (large_client_header_buffers); browsers stay below it.
  std::size_t max_request_line = 8 * 1024;
  // The whole head: four such lines, as nginx's four buffers. A head of more is answered 431.
  std::size_t max_head = 32 * 1024;
  // Envoy allows 100 fields, HAProxy 101; 128 leaves room for proxies that add their own.
  std::size_t max_header_fields = 128;
  // Chunk extensions carry nothing we use; without a cap they are free bytes for a client.
  std::size_t max_chunk_extensions = 16 * 1024;

  // --- Size of its body ---------------------------------------------------------------------
  // A body is not held, it is passed on as the application takes it: only the application knows
  // how much is too much. Above it 413.
  std::size_t max_body = kUnlimited;

  // --- What is served at the same time ------------------------------------------------------
  // Connections, or requests whose application has not finished, at which a further request is
  // answered 503; uvicorn's meaning, and its default.
  std::size_t max_concurrency = kUnlimited;
  // Connections at which no more are accepted. They wait in the kernel's queue: another worker may
  // take them from there, and a 503 for each would cost the descriptors that are short. The Python
  // side gives 90 % of the descriptors: the rest is the application's files and upstream connections.
  std::size_t max_connections = kUnlimited;

  // --- Memory of one connection -------------------------------------------------------------
  // Unread request body (and unparsed pipelined bytes) held before the socket is no longer read.
  std::size_t body_high_water = 64 * 1024;
  // Queued response bytes at which the socket is offered them, and `await send()` waits if it does not take
  // all: of pieces of this size only one is held. And the bytes below which it goes on.
  std::size_t write_high_water = 64 * 1024;
  std::size_t write_low_water = 16 * 1024;
  // Body bytes of at least this size are given to sendmsg() in place; below it a copy is cheaper
  // than keeping the application's object alive and adding an iovec.
  std::size_t zero_copy_threshold = 16 * 1024;
  // Rest of a request body that nobody read, swallowed so that the client sees the answer
  // instead of a reset (Go's net/http uses the same figure). Beyond it our side is closed, and as much
  // again is swallowed until linger_timeout, for a client that reads only when it has sent all.
  std::size_t max_discarded_body = 256 * 1024;

  // --- Time, each phase's deadline ----------------------------------------------------------
  // From the first byte (or accept) to the end of the head, in total: not restarted by a drip.
  Milliseconds head_timeout{10'000};
  // A request body must make some progress in this time.
  Milliseconds body_timeout{30'000};
  // Bytes a second that a request body must come in at, seen over body_timeout: or a byte every few
  // seconds would hold a connection for ever. Kestrel's figure; the slowest modem has ten times that.
  std::size_t min_body_rate = 240;
  // A response must make some progress in this time.
  Milliseconds write_timeout{60'000};
  // An idle connection after its last response; uvicorn's default.
  Milliseconds keep_alive_timeout{5'000};
  // After an early answer: how long we go on swallowing before the close.
  Milliseconds linger_timeout{2'000};

  // --- Fairness -----------------------------------------------------------------------------
  // Pipelined requests of one connection answered in one turn of the loop before others run.
  unsigned max_requests_per_turn = 64;
  // Bytes that one answer writes in one turn, to a peer that takes them all, before others run; also
  // those that are dropped (HEAD), or an endless answer would hold the loop.
  std::size_t max_written_per_turn = 1024 * 1024;
  // What a piece of a body counts for at least: thousands of empty ones are work too.
  std::size_t min_counted_piece = 256;

  // --- Response headers ---------------------------------------------------------------------
  bool date_header = true;           // the moment of the answer
  std::string date;                  // a fixed value instead, unless empty
  std::string server = "fasterapi";  // empty: no such header
  std::string extra_headers;         // whole lines "name: value\r\n"

  // --- WebSocket ----------------------------------------------------------------------------
  bool websocket_enabled = true;  // false: a request for one is answered as any other
  WebSocketSettings websocket;

  // --- Proxies ------------------------------------------------------------------------------
  // Peers whose X-Forwarded-For and -Proto are believed: addresses, networks ("10.0.0.0/8"), or
  // "*". Nobody unless asked for: anyone can send these headers.
  std::vector<std::string> trusted_proxies;
};

}  // namespace fasterapi::base
