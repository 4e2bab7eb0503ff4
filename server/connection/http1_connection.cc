#include "server/connection/http1_connection.h"

#include <algorithm>
#include <utility>

#include "server/base/bytes.h"
#include "server/connection/upgrade.h"
#include "server/connection/websocket_connection.h"

namespace fasterapi::connection {

Http1Connection::Http1Connection(Server& server, std::unique_ptr<net::Stream> stream)
    : server_(server),
      stream_(std::move(stream)),
      codec_(server.settings()),
      pacing_(server.loop(), server.settings(), proceed_),
      deadline_(
          server.loop().wheel(), server.settings(),
          [](void* self) { static_cast<Http1Connection*>(self)->on_deadline(); }, this),
      entry_(server.loop().ledger(), base::Kind::kConnection) {
  settle_ = {[](void* self) { static_cast<Http1Connection*>(self)->settle(); }, this};
  proceed_ = {[](void* self) { static_cast<Http1Connection*>(self)->settle(); }, this};
}

Http1Connection::~Http1Connection() {
  server_.loop().forget(settle_);
  server_.loop().forget(proceed_);
}

void Http1Connection::open() {
  origin_.peer = stream_->peer_address();
  origin_.local = stream_->local_address();
  peer_trusted_ = server_.proxies().trusts(origin_.peer);
  stream_->set_sink(this);
  update_reading();
  update_deadline();
}

void Http1Connection::drain() {
  const bool known = std::exchange(draining_, true);
  if (lingering_) return;  // has ended already, and knows when to close
  if (!in_request_ && queued() == 0) return end();
  codec_.close_after_response();
  if (sink_ != nullptr && !known) sink_->on_drain();
  changed();  // an answer that is complete already waits for nothing but the request's rest
}

void Http1Connection::retire() {
  retiring_ = true;
  // An answer that has begun without saying so is not the last: the client may be sending the next request.
  if (in_request_ && !codec_.head_sent()) codec_.close_after_response();
}

void Http1Connection::abort() {
  if (!ended_) end();
}

// --- From the stream -----------------------------------------------------------------------

// What comes of the bytes is written when every connection that is ready in this turn has been read:
// the kernel's code for sending and ours for answering do not drive each other out of the cache.
void Http1Connection::on_bytes(std::string_view bytes) {
  if (ended_) return;
  if (lingering_ || refused_) {
    discarded_ += bytes.size();
    return update_reading();
  }
  settling_ = true;
  handle(codec_.receive(bytes));
  settling_ = false;
  changed();
}

void Http1Connection::on_end() {
  if (ended_) return;
  peer_ended_ = true;
  if (lingering_) return end();
  meet_end();
  settle();
}

// The peer sends no more. A request that will never be whole has nobody to answer to; the connection
// ends when what is queued has been sent. A whole one may still be answered: the peer has only closed
// its sending side, as far as anyone can tell.
void Http1Connection::meet_end() {
  if (!in_request_ || ended_) return;
  if (codec_.request_complete()) {
    if (sink_ != nullptr) sink_->on_disconnect();
    return;
  }
  in_request_ = false;
  cut_exchange();
}

void Http1Connection::on_drained() { settle(); }

void Http1Connection::on_closed(std::string_view reason) {
  if (ended_) return;
  if (server_.log().enabled(base::LogLevel::kDebug)) {
    server_.log().debug(std::string("Connection lost: ").append(reason));
  }
  end();
}

void Http1Connection::handle(std::span<const http1::Event> events) {
  for (const http1::Event& event : events) {
    if (ended_ || aborted_) return;
    switch (event.kind) {
      case http1::EventKind::kHead:
        begin_request();
        break;
      case http1::EventKind::kBody:
        deliver_body(event.body);
        break;
      case http1::EventKind::kEnd:
        if (sink_ != nullptr) sink_->on_body_end();
        break;
      case http1::EventKind::kFailure:
        server_.log().warning("Invalid HTTP request received: " + codec_.failure().reason);
        refuse(codec_.failure());
        break;
    }
  }
}

void Http1Connection::begin_request() {
  in_request_ = true;
  began_ = true;
  deadline_.restart();
  pacing_.restart();
  unread_ = 0;
  delivered_ = 0;
  discarded_ = 0;
  handshake_.reset();
  continue_due_ = codec_.head().expects_continue;
  if (peer_trusted_) forwarded_ = server_.proxies().read(codec_.head().headers);
  begin_turn();
  ++requests_this_turn_;
  if (draining_ || retiring_) codec_.close_after_response();
  if (int status = server_.refusal(codec_.head())) return end_request(status);
  if (!read_handshake()) return;
  server_.count_request();
  server_.handler().on_exchange(*this, codec_.head());
}

// False: answered, because of what is wrong with the WebSocket that is asked for.
bool Http1Connection::read_handshake() {
  auto handshake = read_upgrade(codec_.head(), server_.settings());
  if (handshake) {
    handshake_ = std::move(*handshake);
    // Whoever did not get its WebSocket has no other use for the connection.
    if (handshake_ != nullptr) codec_.close_after_response();
    return true;
  }
  server_.log().warning("Invalid WebSocket handshake received: " + handshake.failure().reason);
  // RFC 6455 4.4: which version it may be.
  const base::Header version[] = {{"sec-websocket-version", "13"}, {"upgrade", "websocket"}};
  const bool wrong_version = handshake.failure().status == 426;
  end_request(handshake.failure().status, wrong_version ? version : std::span<const base::Header>());
  return false;
}

void Http1Connection::deliver_body(std::string_view bytes) {
  deadline_.received(bytes.size());
  continue_due_ = false;
  if (sink_ == nullptr) {
    discarded_ += bytes.size();
    return;
  }
  delivered_ += bytes.size();
  if (delivered_ > server_.settings().max_body) return end_request(413);
  unread_ += bytes.size();
  sink_->on_body(bytes);
}

// Answers a fault of the peer if that is still possible; the connection ends either way.
void Http1Connection::refuse(const base::Failure& failure) {
  const bool begun = in_request_ && codec_.head_sent();
  const bool answered = begun && codec_.response_complete();
  cut_exchange();
  in_request_ = false;
  aborted_ = !answered && (begun || failure.status == 0);
  if (aborted_) return;
  if (!answered) http1::append_error_response(codec_.output(), failure.status, default_headers());
  refused_ = true;
}

// Ends the request in hand without the application: by an answer with which the connection ends, or
// where another has begun by a cut.
void Http1Connection::end_request(int status, std::span<const base::Header> more) {
  cut_exchange();
  aborted_ = codec_.head_sent();
  if (aborted_) return;
  const std::string_view phrase = base::reason_phrase(status);
  std::string length;
  base::append_decimal(length, phrase.size());
  std::vector<base::Header> headers{
      {"content-type", "text/plain; charset=utf-8"}, {"content-length", length}, {"connection", "close"}};
  headers.insert(headers.end(), more.begin(), more.end());
  aborted_ = !start({status, headers}) || !body(phrase, base::Last::kYes);
}

// --- From the application's side -----------------------------------------------------------

// From here on the rest of the request's body is nobody's.
void Http1Connection::let_go() {
  sink_ = nullptr;
  discarded_ += std::exchange(unread_, 0);
}

void Http1Connection::attach(ExchangeSink& sink) {
  if (ended_) return sink.on_cut();
  sink_ = &sink;
}

void Http1Connection::detach() {
  let_go();
  if (codec_.response_complete()) return;
  aborted_ = true;
  changed();
}

void Http1Connection::want_body() {
  codec_.send_continue();
  if (std::exchange(continue_due_, false)) deadline_.restart();
  if (!codec_.output().empty()) changed();
}

void Http1Connection::body_taken(std::size_t count) {
  bool was_full = unread_ >= server_.settings().body_high_water;
  unread_ -= count;
  if (was_full && unread_ < server_.settings().body_high_water) changed();
}

base::Result<void> Http1Connection::start(const base::ResponseHead& head) {
  base::Result<void> result = codec_.send_head(head, default_headers());
  if (!result) return result;
  if (handshake_ != nullptr) {
    log_handshake(std::to_string(head.status));
  } else if (AccessLog* log = server_.access_log()) {
    log->record(client(), codec_.head(), head.status);
  }
  changed();
  return result;
}

base::Result<void> Http1Connection::body(std::string_view bytes, base::Last last) {
  return write_body(bytes, last);
}

base::Result<void> Http1Connection::body(base::Slice bytes, base::Last last) {
  return write_body(std::move(bytes), last);
}

namespace {
std::size_t size_of(std::string_view bytes) { return bytes.size(); }
std::size_t size_of(const base::Slice& slice) { return slice.bytes().size(); }
}  // namespace

template <class Bytes>
base::Result<void> Http1Connection::write_body(Bytes bytes, base::Last last) {
  const std::size_t size = size_of(bytes);
  base::Result<void> result = codec_.send_body(std::move(bytes), last);
  if (!result) return result;
  go_on(size);
  return result;
}

base::Result<void> Http1Connection::trailers(std::span<const base::Header> fields, base::Last last) {
  std::size_t size = 0;
  for (const base::Header& field : fields) size += field.name.size() + field.value.size();
  base::Result<void> result = codec_.send_trailers(fields, last);
  if (result) go_on(size);
  return result;
}

void Http1Connection::go_on(std::size_t written) {
  if (codec_.response_complete()) {
    let_go();
  } else {
    pacing_.wrote(written, codec_.output(), *stream_);
  }
  changed();
}

// The connection speaks WebSocket from here on: another object's business, which takes what is left.
base::Result<WebSocket*> Http1Connection::accept(const Acceptance& acceptance, WebSocketSink& sink) {
  auto deflate = write_upgrade(codec_, *handshake_, acceptance, default_headers(), server_.deflate_pool(),
                               server_.settings().websocket);
  if (!deflate) return deflate.failure();
  auto socket = std::make_unique<WebSocketConnection>(server_, std::move(stream_), std::move(*deflate),
                                                      std::move(codec_.output()), codec_.take_rest(), sink);
  WebSocketConnection& opened = *socket;
  sink_ = nullptr;
  ended_ = true;
  deadline_.stop();
  server_.hand_over(*this, std::move(socket));
  log_handshake("[accepted]");
  opened.open();
  return &opened;
}

void Http1Connection::log_handshake(std::string_view outcome) {
  const net::Address& from = client();
  std::string line = from.host;
  if (from.family == net::Address::Family::kInet) line.append(":").append(std::to_string(from.port));
  line.append(" - \"WebSocket ");
  base::append_escaped(line, codec_.head().target);
  server_.log().info(line.append("\" ").append(outcome));
}

void Http1Connection::begin_turn() {
  if (turn_ == server_.loop().turn()) return;
  turn_ = server_.loop().turn();
  requests_this_turn_ = 0;
}

// --- Consequences --------------------------------------------------------------------------

void Http1Connection::changed() {
  if (!settling_ && !ended_) server_.loop().at_end_of_turn(settle_);
}

void Http1Connection::settle() {
  if (ended_ || settling_) return;
  settling_ = true;
  advance();
  settling_ = false;
  if (ended_) return;
  stream_->flush(codec_.output());
  if (aborted_) return end();
  if (close_if_done()) return;
  if (pacing_.is_over(queued()) && sink_ != nullptr) sink_->on_writable();
  update_reading();
  update_deadline();
}

// While the request in hand is complete and answered, goes on to the next that was pipelined.
void Http1Connection::advance() {
  const base::Settings& settings = server_.settings();
  begin_turn();
  while (!ended_ && !aborted_ && in_request_ && codec_.request_complete() && codec_.response_complete()) {
    if (codec_.wants_close()) {
      in_request_ = false;
      return;
    }
    if (queued() >= settings.write_high_water) stream_->flush(codec_.output());
    if (queued() >= settings.write_high_water) return;  // goes on when that has drained
    if (requests_this_turn_ >= settings.max_requests_per_turn && codec_.has_rest()) {
      server_.loop().at_next_turn(proceed_);
      return;
    }
    in_request_ = false;
    codec_.resume();
    if (codec_.has_rest()) handle(codec_.receive({}));
    if (peer_ended_) meet_end();
  }
}

// Ends the connection, or begins to, when nothing more is to come of it.
bool Http1Connection::close_if_done() {
  if (lingering_) return false;
  bool answered_early = in_request_ && codec_.response_complete() && !codec_.request_complete();
  if (answered_early) {
    bool too_much = discarded_ > server_.settings().max_discarded_body;
    if (!too_much && !codec_.wants_close()) return false;
    if (queued() == 0) linger();
    return false;
  }
  if (in_request_ || queued() > 0) return false;
  if (refused_) {
    linger();
    return false;
  }
  if (!codec_.wants_close() && !draining_ && !peer_ended_) return false;
  if (codec_.has_rest() && !peer_ended_) {
    linger();
    return false;
  }
  end();
  return true;
}

// A close while the peer still sends makes its kernel throw our answer away (RFC 9112 9.6): end
// our side, and swallow some more for a while.
void Http1Connection::linger() {
  lingering_ = true;
  in_request_ = false;
  discarded_ = 0;
  if (peer_ended_) return end();
  stream_->shutdown();
}

void Http1Connection::update_reading() {
  if (ended_ || peer_ended_) return;
  const base::Settings& settings = server_.settings();
  bool full = lingering_ || refused_
                  ? discarded_ > settings.max_discarded_body
                  : unread_ >= settings.body_high_water || codec_.rest_size() >= settings.body_high_water ||
                        (!in_request_ && queued() >= settings.write_high_water);
  if (full) {
    stream_->read_stop();
  } else {
    stream_->read_start();
  }
}

Phase Http1Connection::phase() {
  if (lingering_) return Phase::kLinger;
  if (queued() > 0) return Phase::kWrite;
  if (in_request_) {
    if (codec_.request_complete() || unread_ >= server_.settings().body_high_water) return Phase::kNone;
    // A client that waits for "100 Continue" owes nothing, as long as that may come.
    return continue_due_ && !codec_.head_sent() ? Phase::kNone : Phase::kBody;
  }
  return codec_.in_head() || !began_ ? Phase::kHead : Phase::kKeepAlive;
}

void Http1Connection::update_deadline() {
  if (!ended_) deadline_.wait_for(phase(), stream_->written());
}

void Http1Connection::on_deadline() {
  switch (deadline_.phase()) {
    case Phase::kHead:
      if (!codec_.in_head()) return end();
      refuse({408, "the request took too long"});
      return settle();
    case Phase::kBody:
      if (codec_.response_complete()) return end();
      end_request(408);
      return settle();
    case Phase::kWrite:
      // The kernel may have taken bytes without a call to us: that was progress.
      if (deadline_.progressed(stream_->written())) return update_deadline();
      stream_->reset();
      return end();
    default:
      return end();
  }
}

void Http1Connection::cut_exchange() {
  if (ExchangeSink* sink = std::exchange(sink_, nullptr)) sink->on_cut();
}

void Http1Connection::end() {
  if (ended_) return;
  ended_ = true;
  deadline_.stop();
  stream_->read_stop();
  // Where the end of the connection is the end of the body (HTTP/1.0), only a reset tells the
  // peer that this body is not whole.
  bool whole = codec_.response_complete() && queued() == 0;
  if (codec_.head_sent() && !whole && codec_.head().version.minor == 0) stream_->reset();
  server_.ended(*this);
  cut_exchange();
}

// Whom the request came from, as far as a trusted proxy knows better than the socket.
const net::Address& Http1Connection::client() const {
  bool known = forwarded_ != nullptr && forwarded_->client.family != net::Address::Family::kNone;
  return known ? forwarded_->client : origin_.peer;
}

http1::DefaultHeaders Http1Connection::default_headers() {
  const base::Settings& settings = server_.settings();
  std::string_view date = settings.date;
  if (date.empty() && settings.date_header) date = server_.date();
  return {.date = date, .server = settings.server, .extra = settings.extra_headers};
}

}  // namespace fasterapi::connection
