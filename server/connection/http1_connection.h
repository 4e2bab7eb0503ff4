// One HTTP/1 connection: bytes from its stream to the codec, the codec's events to the
// application's side, answers back; pipelining in order, back-pressure both ways, deadlines.
// Owned by the Server, owns its stream and codec. There is one request in hand at a time, so the
// connection itself is that request's Exchange.
//
// Everything that may end a request or the connection only notes it; settle() draws the
// consequences, once, when no caller's frame below can be surprised by them.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "server/base/ledger.h"
#include "server/connection/connection.h"
#include "server/connection/exchange.h"
#include "server/connection/phase_deadline.h"
#include "server/connection/server.h"
#include "server/connection/write_pacing.h"
#include "server/http1/codec.h"
#include "server/net/loop.h"
#include "server/net/stream.h"

namespace fasterapi::connection {

class Http1Connection final : public Connection, public net::StreamSink, public Exchange {
 public:
  Http1Connection(Server& server, std::unique_ptr<net::Stream> stream);
  ~Http1Connection() override;

  void open() override;
  void drain() override;   // ends after the answer in hand, or at once when idle
  void retire() override;  // ends after its next answer, or when it has been idle for its time
  void abort() override;

  void on_bytes(std::string_view bytes) override;
  void on_end() override;
  void on_drained() override;
  void on_closed(std::string_view reason) override;

  void attach(ExchangeSink& sink) override;
  void detach() override;
  void want_body() override;
  void body_taken(std::size_t count) override;
  base::Result<void> start(const base::ResponseHead& head) override;
  base::Result<void> body(std::string_view bytes, base::Last last) override;
  base::Result<void> body(base::Slice bytes, base::Last last) override;
  base::Result<void> trailers(std::span<const base::Header> fields, base::Last last) override;
  bool writable() const override { return !pacing_.waiting(); }
  std::size_t queued() const override { return codec_.output().size() + stream_->queued(); }
  bool draining() const override { return draining_; }
  bool open_ended() const override { return codec_.response_open_ended(); }
  const websocket::Handshake* handshake() const override { return handshake_.get(); }
  base::Result<WebSocket*> accept(const Acceptance& acceptance, WebSocketSink& sink) override;
  Origin& origin() override { return origin_; }
  const Forwarded* forwarded() const override { return forwarded_.get(); }

 private:
  void handle(std::span<const http1::Event> events);
  void begin_request();
  void deliver_body(std::string_view bytes);
  void refuse(const base::Failure& failure);
  bool read_handshake();
  void end_request(int status, std::span<const base::Header> more = {});
  void let_go();
  template <class Bytes>
  base::Result<void> write_body(Bytes bytes, base::Last last);

  void go_on(std::size_t written);
  void begin_turn();
  void meet_end();
  void changed();
  void settle();
  void advance();
  bool close_if_done();
  void linger();
  void log_handshake(std::string_view outcome);
  void update_reading();
  void update_deadline();
  Phase phase();
  void on_deadline();
  void cut_exchange();
  void end();
  http1::DefaultHeaders default_headers();
  const net::Address& client() const;

  Server& server_;
  std::unique_ptr<net::Stream> stream_;
  http1::Codec codec_;
  Origin origin_;
  std::unique_ptr<Forwarded> forwarded_;
  std::unique_ptr<websocket::Handshake> handshake_;
  ExchangeSink* sink_ = nullptr;
  net::Deferred settle_;
  net::Deferred proceed_;  // the next pipelined request, in the next turn
  WritePacing pacing_;
  PhaseDeadline deadline_;
  std::size_t unread_ = 0;     // body bytes delivered and not yet taken
  std::size_t delivered_ = 0;  // body bytes of this request
  std::size_t discarded_ = 0;  // bytes that nobody will read
  std::uint64_t turn_ = 0;
  unsigned requests_this_turn_ = 0;
  bool peer_trusted_ = false;  // as a proxy
  bool in_request_ = false;    // a head was handed on, and request and answer are not both complete
  bool began_ = false;         // there was a request on this connection
  bool continue_due_ = false;  // the client waits for "100 Continue"
  bool settling_ = false;      // a caller below settles: changed() need not ask for it
  bool draining_ = false;
  bool retiring_ = false;
  bool peer_ended_ = false;
  bool refused_ = false;    // the peer's fault was answered; nothing more is parsed
  bool aborted_ = false;    // the answer cannot be finished: cut at the next settle()
  bool lingering_ = false;  // all is sent; swallowing what the peer still sends
  bool ended_ = false;      // on the server's list of the dead
  base::Ledger::Entry entry_;
};

}  // namespace fasterapi::connection
