// One WebSocket connection (RFC 6455): bytes from its stream to the codec, messages to the application's
// side, and back; back-pressure both ways, pings, the close handshake in both directions. Takes over
// the stream of the connection on which the handshake was made. Owned by the Server, owns stream and codec.
//
// Everything that may end the connection only notes it; settle() draws the consequences, once.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "server/base/ledger.h"
#include "server/connection/connection.h"
#include "server/connection/phase_deadline.h"
#include "server/connection/server.h"
#include "server/connection/topics.h"
#include "server/connection/websocket.h"
#include "server/connection/write_pacing.h"
#include "server/net/loop.h"
#include "server/net/stream.h"
#include "server/net/timer.h"
#include "server/websocket/codec.h"

namespace fasterapi::connection {

class WebSocketConnection final : public Connection,
                                  public net::StreamSink,
                                  public WebSocket,
                                  private websocket::MessageBuffers {
 public:
  // `head`: the bytes that go before everything else, the answer to the handshake. `rest`: bytes that came
  // behind the handshake.
  WebSocketConnection(Server& server, std::unique_ptr<net::Stream> stream,
                      std::unique_ptr<websocket::MessageDeflate> deflate, base::Output head, std::string rest,
                      WebSocketSink& sink);
  ~WebSocketConnection() override;

  void open() override;
  void drain() override;
  void retire() override;
  void abort() override;

  void on_bytes(std::string_view bytes) override;
  void on_end() override;
  void on_drained() override;
  void on_closed(std::string_view reason) override;

  void taken(std::size_t bytes) override;
  base::Result<void> send(websocket::MessageKind kind, std::string_view payload,
                          websocket::Compress compress) override;
  base::Result<void> send(websocket::MessageKind kind, base::Slice payload) override;
  base::Result<void> ping(std::string_view payload) override;
  base::Result<void> pong(std::string_view payload) override;
  bool subscribe(std::string_view topic) override { return server_.topics().subscribe(topic, *this); }
  bool unsubscribe(std::string_view topic) override { return server_.topics().unsubscribe(topic, *this); }
  std::size_t publish(std::string_view topic, websocket::MessageKind kind,
                      std::string_view payload) override {
    return server_.topics().publish(topic, kind, payload);
  }
  base::Result<void> close(std::uint16_t code, std::string_view reason) override;
  bool writable() const override { return !pacing_.waiting(); }
  WebSocketStatistics statistics() override;

  // For Topics. False: dropped, since the peer is too slow or the connection ends.
  bool deliver(SharedMessage& message);
  Subscriptions& subscriptions() { return subscriptions_; }

 private:
  void handle(std::span<const websocket::Event> events);
  void deliver(const websocket::Event& event);
  std::unique_ptr<websocket::MessageBuffer> make() override;
  void on_pong(std::string_view payload);
  void leave(std::uint16_t code);
  void cut(std::uint16_t code, std::string_view reason);
  void forget_queued();
  base::Result<void> count_sent(base::Result<void> result, std::size_t size);

  void changed();
  void proceed();
  void settle();
  void interpret(std::string_view bytes);
  bool close_if_done();
  void update_reading();
  void update_deadline();
  void on_deadline();
  void on_keep_alive();
  void on_idle();
  void end();
  bool is_full() const;
  std::size_t queued() { return codec_.output().size() + stream_->queued(); }

  Server& server_;
  const base::Settings& settings_;
  std::unique_ptr<net::Stream> stream_;
  websocket::Codec codec_;
  std::string rest_;  // until open() has interpreted it
  WebSocketSink* sink_;
  net::Deferred settle_;
  net::Deferred proceed_;  // interprets more in the next turn
  WritePacing pacing_;
  PhaseDeadline deadline_;
  net::Deadline keep_alive_;
  net::Deadline idle_;
  WebSocketStatistics statistics_;
  Subscriptions subscriptions_;
  std::size_t queued_messages_ = 0;  // delivered to the application and not yet taken
  std::size_t queued_bytes_ = 0;
  std::size_t waiting_pongs_ = 0;  // bytes of those written since the peer had read everything
  std::size_t discarded_ = 0;      // bytes that came when all was said
  std::uint64_t pinged_ms_ = 0;
  std::uint32_t pings_ = 0;  // keep-alive pings sent; the last one's number is its payload
  bool awaits_pong_ = false;
  bool active_ = false;  // a message came or went since on_idle()
  bool settling_ = false;
  bool lingering_ = false;  // all is sent; swallowing what the peer still sends
  bool ended_ = false;      // on the server's list of the dead
  base::Ledger::Entry entry_;
};

}  // namespace fasterapi::connection
