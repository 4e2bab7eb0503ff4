// Listeners, open connections, and what the connections share. Owned by the application's side
// (asgi/), which outlives it. Connections that have ended are destroyed at the end of the turn.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/base/date.h"
#include "server/base/failure.h"
#include "server/base/ledger.h"
#include "server/base/log.h"
#include "server/base/settings.h"
#include "server/connection/access_log.h"
#include "server/connection/connection.h"
#include "server/connection/forwarded.h"
#include "server/connection/handler.h"
#include "server/connection/topics.h"
#include "server/net/listener.h"
#include "server/net/loop.h"
#include "server/websocket/deflate.h"

namespace fasterapi::connection {

class Server {
 public:
  Server(net::Loop& loop, const base::Settings& settings, Handler& handler, base::Log& log,
         std::unique_ptr<AccessLog> access_log, std::function<void()> on_change);
  ~Server();  // abort()

  // Takes over `fd`; the failure's status is the positive errno.
  base::Result<void> listen(int fd, int backlog);
  void stop_listening();
  void drain();
  void retire();
  void abort();
  std::size_t connections() const { return connections_.size(); }
  std::uint64_t total_requests() const { return total_requests_; }

  // A stream that was accepted, or a test's.
  void serve(std::unique_ptr<net::Stream> stream);

  // For connections.
  net::Loop& loop() { return loop_; }
  const base::Settings& settings() const { return settings_; }
  Handler& handler() { return handler_; }
  base::Log& log() { return log_; }
  const TrustedProxies& proxies() const { return proxies_; }
  AccessLog* access_log() { return access_log_.get(); }
  std::string_view date() { return date_.at(loop_.wall_seconds()); }
  void count_request() { ++total_requests_; }
  // The status with which the server itself answers this request; 0: the application is asked.
  int refusal(const base::RequestHead& head) {
    if (head.content_length && *head.content_length > settings_.max_body) return 413;
    return settings_.max_concurrency != base::kUnlimited && too_many() ? 503 : 0;
  }
  websocket::DeflatePool& deflate_pool() { return deflate_pool_; }
  websocket::Workspace& websocket_workspace() { return websocket_workspace_; }
  Topics& topics() { return topics_; }
  void ended(Connection& connection);
  // `from` has ended, and `to` goes on with its stream.
  void hand_over(Connection& from, std::unique_ptr<Connection> to);

 private:
  void bury();
  void accept(std::unique_ptr<net::Stream> stream);
  void hold();
  void release();
  bool too_many();
  void report_waiting(const std::string& why);

  net::Loop& loop_;
  base::Settings settings_;
  TrustedProxies proxies_;
  Handler& handler_;
  base::Log& log_;
  std::unique_ptr<AccessLog> access_log_;
  std::function<void()> on_change_;
  base::DateCache date_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  websocket::DeflatePool deflate_pool_;
  websocket::Workspace websocket_workspace_;
  Topics topics_{deflate_pool_, settings_.websocket};
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::unique_ptr<Connection>> ended_;
  net::Deferred bury_;
  std::uint64_t total_requests_ = 0;
  std::uint64_t waiting_reported_ms_ = 0;  // 0: never
  bool held_ = false;                      // no more connections are accepted
  base::Ledger::Entry entry_;
};

}  // namespace fasterapi::connection
