#include "server/connection/websocket_connection.h"

#include <utility>

#include "server/websocket/close_code.h"

namespace fasterapi::connection {

namespace {
// How long nothing is said before the codec gives its buffers back.
constexpr base::Milliseconds kIdleAfter{1'000};
// Bytes of Pongs that may wait for a peer who sends Pings and reads nothing.
constexpr std::size_t kMaxPongs = 8 * 1024;
}  // namespace

WebSocketConnection::WebSocketConnection(Server& server, std::unique_ptr<net::Stream> stream,
                                         std::unique_ptr<websocket::MessageDeflate> deflate,
                                         base::Output head, std::string rest, WebSocketSink& sink)
    : server_(server),
      settings_(server.settings()),
      stream_(std::move(stream)),
      codec_(settings_.websocket, server.websocket_workspace(), std::move(deflate), this),
      rest_(std::move(rest)),
      sink_(&sink),
      pacing_(server.loop(), settings_, proceed_),
      deadline_(
          server.loop().wheel(), settings_,
          [](void* self) { static_cast<WebSocketConnection*>(self)->on_deadline(); }, this),
      keep_alive_(
          server.loop().wheel(), [](void* self) { static_cast<WebSocketConnection*>(self)->on_keep_alive(); },
          this),
      idle_(
          server.loop().wheel(), [](void* self) { static_cast<WebSocketConnection*>(self)->on_idle(); },
          this),
      entry_(server.loop().ledger(), base::Kind::kConnection) {
  codec_.output() = std::move(head);
  settle_ = {[](void* self) { static_cast<WebSocketConnection*>(self)->settle(); }, this};
  proceed_ = {[](void* self) { static_cast<WebSocketConnection*>(self)->proceed(); }, this};
}

WebSocketConnection::~WebSocketConnection() {
  server_.loop().forget(settle_);
  server_.loop().forget(proceed_);
}

void WebSocketConnection::open() {
  if (ended_) return;
  stream_->set_sink(this);
  if (!rest_.empty()) {
    stream_->read_stop();
    server_.loop().at_next_turn(proceed_);
  }
  if (settings_.websocket.ping_interval.count() > 0) keep_alive_.arm(settings_.websocket.ping_interval);
  server_.log().info("connection open");
  changed();
}

void WebSocketConnection::drain() { leave(websocket::kGoingAway); }

void WebSocketConnection::retire() { leave(websocket::kServiceRestart); }

void WebSocketConnection::abort() {
  if (!ended_) end();
}

// --- From the stream -----------------------------------------------------------------------

void WebSocketConnection::on_bytes(std::string_view bytes) {
  if (ended_) return;
  if (lingering_) {
    discarded_ += bytes.size();
    return update_reading();
  }
  interpret(bytes);
  changed();
}

// RFC 6455 7.1.5: without a Close frame, the connection was closed abnormally.
void WebSocketConnection::on_end() {
  if (!ended_) end();
}

void WebSocketConnection::on_drained() { settle(); }

void WebSocketConnection::on_closed(std::string_view reason) {
  if (ended_) return;
  if (server_.log().enabled(base::LogLevel::kDebug)) {
    server_.log().debug(std::string("Connection lost: ").append(reason));
  }
  end();
}

// As many messages as the application has room for; the codec keeps the rest.
void WebSocketConnection::interpret(std::string_view bytes) {
  const std::size_t most =
      sink_ == nullptr ? settings_.websocket.max_queue : settings_.websocket.max_queue - queued_messages_;
  settling_ = true;
  handle(codec_.receive(bytes, most));
  codec_.handled();
  settling_ = false;
  if (!ended_ && codec_.has_rest() && !is_full()) server_.loop().at_next_turn(proceed_);
}

void WebSocketConnection::handle(std::span<const websocket::Event> events) {
  for (const websocket::Event& event : events) {
    if (ended_) return;
    switch (event.kind) {
      case websocket::EventKind::kMessage:
        deliver(event);
        break;
      case websocket::EventKind::kPing:
        waiting_pongs_ += event.payload.size();  // answered by the codec
        break;
      case websocket::EventKind::kPong:
        on_pong(event.payload);
        break;
      case websocket::EventKind::kFailure:
        server_.log().warning(std::string("Invalid WebSocket frame received: ").append(event.payload));
        [[fallthrough]];
      case websocket::EventKind::kClose:
        cut(event.code, event.payload);
        break;
    }
  }
}

void WebSocketConnection::deliver(const websocket::Event& event) {
  if (sink_ == nullptr) return;
  ++queued_messages_;
  queued_bytes_ += event.payload.size();
  active_ = true;
  if (event.in_place) {
    sink_->on_message(codec_.take_buffer(), event.payload.size());
  } else {
    sink_->on_message(event.message, event.payload);
  }
}

std::unique_ptr<websocket::MessageBuffer> WebSocketConnection::make() {
  return sink_ == nullptr ? nullptr : sink_->make_buffer();
}

void WebSocketConnection::on_pong(std::string_view payload) {
  if (awaits_pong_ && payload == std::to_string(pings_)) {
    awaits_pong_ = false;
    statistics_.latency = base::Milliseconds(server_.loop().wheel().now_ms() - pinged_ms_);
    keep_alive_.arm(settings_.websocket.ping_interval);
  } else if (sink_ != nullptr) {
    sink_->on_pong(payload);
  }
}

// --- From the application's side -----------------------------------------------------------

void WebSocketConnection::taken(std::size_t bytes) {
  const bool was_full = is_full();
  --queued_messages_;
  queued_bytes_ -= bytes;
  ++statistics_.messages_received;
  statistics_.bytes_received += bytes;
  if (was_full && !is_full()) server_.loop().at_next_turn(proceed_);
}

base::Result<void> WebSocketConnection::count_sent(base::Result<void> result, std::size_t size) {
  if (!result) return result;
  ++statistics_.messages_sent;
  statistics_.bytes_sent += size;
  active_ = true;
  pacing_.wrote(size, codec_.output(), *stream_);
  changed();
  return result;
}

base::Result<void> WebSocketConnection::send(websocket::MessageKind kind, std::string_view payload,
                                             websocket::Compress compress) {
  return count_sent(codec_.send(kind, payload, compress), payload.size());
}

base::Result<void> WebSocketConnection::send(websocket::MessageKind kind, base::Slice payload) {
  const std::size_t size = payload.bytes().size();
  return count_sent(codec_.send(kind, std::move(payload)), size);
}

bool WebSocketConnection::deliver(SharedMessage& message) {
  if (ended_ || codec_.close_sent()) return false;
  if (queued() > settings_.write_high_water) {
    ++statistics_.messages_dropped;
    return false;
  }
  codec_.send_frames(message.frames(codec_.window_bits()));
  ++statistics_.messages_sent;
  statistics_.bytes_sent += message.size();
  active_ = true;
  changed();
  return true;
}

base::Result<void> WebSocketConnection::ping(std::string_view payload) {
  base::Result<void> result = codec_.ping(payload);
  if (result) changed();
  return result;
}

base::Result<void> WebSocketConnection::pong(std::string_view payload) {
  base::Result<void> result = codec_.pong(payload);
  if (result) changed();
  return result;
}

base::Result<void> WebSocketConnection::close(std::uint16_t code, std::string_view reason) {
  base::Result<void> result = codec_.close(code, reason);
  if (!result) return result;
  sink_ = nullptr;
  forget_queued();
  changed();
  return result;
}

WebSocketStatistics WebSocketConnection::statistics() {
  WebSocketStatistics statistics = statistics_;
  statistics.queued = queued();
  statistics.deflates = codec_.deflates();
  return statistics;
}

// --- Consequences --------------------------------------------------------------------------

// The server goes: our Close, and the peer's within its time.
void WebSocketConnection::leave(std::uint16_t code) {
  if (ended_ || codec_.close_sent()) return;
  if (!codec_.close(code, {})) return end();
  cut(code, {});
  changed();
}

void WebSocketConnection::cut(std::uint16_t code, std::string_view reason) {
  forget_queued();
  if (WebSocketSink* sink = std::exchange(sink_, nullptr)) sink->on_closed(code, reason);
}

// Nobody takes messages any more, and the peer's Close may be behind them.
void WebSocketConnection::forget_queued() {
  queued_messages_ = 0;
  queued_bytes_ = 0;
  if (codec_.has_rest()) server_.loop().at_next_turn(proceed_);
}

void WebSocketConnection::changed() {
  if (!settling_ && !ended_) server_.loop().at_end_of_turn(settle_);
}

// What was left by an earlier turn.
void WebSocketConnection::proceed() {
  if (ended_) return;
  if (!is_full()) interpret(std::exchange(rest_, {}));
  settle();
}

void WebSocketConnection::settle() {
  if (ended_ || settling_) return;
  stream_->flush(codec_.output());
  if (close_if_done()) return;
  if (queued() == 0 && std::exchange(waiting_pongs_, 0) >= kMaxPongs) server_.loop().at_next_turn(proceed_);
  if (pacing_.is_over(queued()) && sink_ != nullptr) sink_->on_writable();
  if (active_ && !idle_.armed()) idle_.arm(kIdleAfter);
  update_reading();
  update_deadline();
}

// RFC 6455 7.1.1: the server closes the TCP connection first. Bytes that the peer has sent behind its
// Close, or before it learned of its fault, would turn that into a reset, which takes our Close with it.
bool WebSocketConnection::close_if_done() {
  if (lingering_ || !codec_.wants_close() || queued() > 0) return false;
  if (stream_->broken()) {
    end();
    return true;
  }
  lingering_ = true;
  stream_->shutdown();
  return false;
}

// No more frames are interpreted: the application has enough messages, or the peer enough Pongs to read.
bool WebSocketConnection::is_full() const {
  return queued_messages_ >= settings_.websocket.max_queue ||
         queued_bytes_ >= settings_.websocket.queue_high_water || waiting_pongs_ >= kMaxPongs;
}

void WebSocketConnection::update_reading() {
  const bool full =
      lingering_ ? discarded_ > settings_.max_discarded_body
                 : !rest_.empty() || is_full() || codec_.has_rest() || queued() >= settings_.write_high_water;
  if (full) {
    stream_->read_stop();
  } else {
    stream_->read_start();
  }
}

void WebSocketConnection::update_deadline() {
  Phase phase = lingering_                                        ? Phase::kLinger
                : queued() > 0                                    ? Phase::kWrite
                : codec_.close_sent() && !codec_.close_received() ? Phase::kClose
                                                                  : Phase::kNone;
  deadline_.wait_for(phase, stream_->written());
}

void WebSocketConnection::on_deadline() {
  if (deadline_.phase() == Phase::kWrite) {
    // The kernel may have taken bytes without a call to us: that was progress.
    if (deadline_.progressed(stream_->written())) return update_deadline();
    stream_->reset();
  }
  end();
}

// RFC 6455 5.5.2: a Ping, and the time by which its Pong is due. A Pong cannot be seen while nothing is
// read, nor be sent for a Ping that is still queued here.
void WebSocketConnection::on_keep_alive() {
  const base::WebSocketSettings& settings = settings_.websocket;
  if (codec_.close_sent()) return;
  if (awaits_pong_) {
    if (is_full() || codec_.has_rest() || queued() > 0) {
      return keep_alive_.arm(settings.ping_timeout);
    }
    if (codec_.close(websocket::kInternalError, "keepalive ping timeout")) stream_->flush(codec_.output());
    return end();
  }
  pinged_ms_ = server_.loop().wheel().now_ms();
  if (!codec_.ping(std::to_string(++pings_))) return;
  awaits_pong_ = settings.ping_timeout.count() > 0;
  keep_alive_.arm(awaits_pong_ ? settings.ping_timeout : settings.ping_interval);
  settle();
}

void WebSocketConnection::on_idle() {
  if (std::exchange(active_, false)) return idle_.arm(kIdleAfter);
  codec_.rest();
}

void WebSocketConnection::end() {
  if (ended_) return;
  ended_ = true;
  deadline_.stop();
  keep_alive_.disarm();
  idle_.disarm();
  server_.topics().unsubscribe_all(*this);
  stream_->read_stop();
  server_.ended(*this);
  cut(websocket::kAbnormalClosure, {});
  server_.log().info("connection closed");
}

}  // namespace fasterapi::connection
