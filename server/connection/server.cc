#include "server/connection/server.h"

#include <string>
#include <utility>

#include "server/connection/http1_connection.h"

namespace fasterapi::connection {

namespace {
constexpr std::uint64_t kWaitingReportMs = 10'000;
}  // namespace

Server::Server(net::Loop& loop, const base::Settings& settings, Handler& handler, base::Log& log,
               std::unique_ptr<AccessLog> access_log, std::function<void()> on_change)
    : loop_(loop),
      settings_(settings),
      proxies_(settings.trusted_proxies),
      handler_(handler),
      log_(log),
      access_log_(std::move(access_log)),
      on_change_(std::move(on_change)),
      entry_(loop.ledger(), base::Kind::kServer) {
  bury_ = {[](void* self) { static_cast<Server*>(self)->bury(); }, this};
}

Server::~Server() {
  on_change_ = nullptr;
  stop_listening();
  abort();
  loop_.forget(bury_);
}

base::Result<void> Server::listen(int fd, int backlog) {
  auto listener = net::Listener::open(
      loop_, fd, backlog, [this](std::unique_ptr<net::Stream> stream) { accept(std::move(stream)); },
      [this](int error) { report_waiting(net::error_text(error)); });
  if (!listener) return listener.failure();
  listeners_.push_back(std::move(*listener));
  if (held_) listeners_.back()->hold();
  return {};
}

// Now and then: it happens with every connection that comes.
void Server::report_waiting(const std::string& why) {
  const std::uint64_t now = loop_.now_ms() + 1;
  if (waiting_reported_ms_ != 0 && now - waiting_reported_ms_ < kWaitingReportMs) return;
  waiting_reported_ms_ = now;
  log_.warning("New connections wait: " + why + ", with " + std::to_string(connections_.size()) +
               " connections open");
}

void Server::accept(std::unique_ptr<net::Stream> stream) {
  serve(std::move(stream));
  if (connections_.size() >= settings_.max_connections) hold();
}

void Server::hold() {
  held_ = true;
  for (auto& listener : listeners_) listener->hold();
  report_waiting("the limit of " + std::to_string(settings_.max_connections) + " is reached");
}

void Server::release() {
  held_ = false;
  for (auto& listener : listeners_) listener->release();
}

// As uvicorn counts: the connection that asks is one of them, its request is not yet.
bool Server::too_many() {
  if (connections_.size() < settings_.max_concurrency && handler_.in_hand() < settings_.max_concurrency) {
    return false;
  }
  log_.warning("Exceeded concurrency limit.");
  return true;
}

void Server::stop_listening() { listeners_.clear(); }

void Server::serve(std::unique_ptr<net::Stream> stream) {
  auto connection = std::make_unique<Http1Connection>(*this, std::move(stream));
  connection->index = connections_.size();
  connections_.push_back(std::move(connection));
  connections_.back()->open();
}

void Server::drain() {
  // A connection that ends leaves the list, and the last one takes its place.
  for (std::size_t i = connections_.size(); i-- > 0;) {
    if (i < connections_.size()) connections_[i]->drain();
  }
}

void Server::retire() {
  for (auto& connection : connections_) connection->retire();
}

void Server::abort() {
  while (!connections_.empty()) connections_.back()->abort();
}

void Server::hand_over(Connection& from, std::unique_ptr<Connection> to) {
  to->index = from.index;
  ended_.push_back(std::exchange(connections_[from.index], std::move(to)));
  loop_.at_end_of_turn(bury_);
}

void Server::ended(Connection& connection) {
  std::size_t index = connection.index;
  ended_.push_back(std::move(connections_[index]));
  if (index + 1 < connections_.size()) {
    connections_[index] = std::move(connections_.back());
    connections_[index]->index = index;
  }
  connections_.pop_back();
  loop_.at_end_of_turn(bury_);
}

void Server::bury() {
  // What a connection's end releases may end others.
  while (!ended_.empty()) {
    auto dead = std::exchange(ended_, {});
  }
  if (held_ && connections_.size() < settings_.max_connections) release();
  if (on_change_) on_change_();
}

}  // namespace fasterapi::connection
