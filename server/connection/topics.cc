#include "server/connection/topics.h"

#include <utility>

#include "server/connection/websocket_connection.h"

namespace fasterapi::connection {

const base::SharedBytes& SharedMessage::frames(int window_bits) {
  if (window_bits != 0 && payload_.size() >= settings_.deflate_threshold) {
    auto [place, is_new] = deflated_.try_emplace(window_bits);
    base::SharedBytes& deflated = place->second;
    if (is_new) deflated = websocket::encode_deflated(pool_, window_bits, settings_, kind_, payload_);
    if (!deflated.bytes().empty()) return deflated;  // else plain is as good
  }
  if (plain_.bytes().empty()) plain_ = websocket::encode_message(kind_, payload_);
  return plain_;
}

bool Topics::subscribe(std::string_view name, WebSocketConnection& connection) {
  std::vector<Subscriptions::Place>& places = connection.subscriptions().places_;
  for (const Subscriptions::Place& place : places) {
    if (place.topic->name == name) return false;
  }
  auto found = topics_.find(name);
  if (found == topics_.end()) {
    auto made = std::make_unique<Topic>();
    made->name = name;
    found = topics_.emplace(std::string(name), std::move(made)).first;
  }
  Topic& topic = *found->second;
  places.push_back({&topic, topic.receivers.size()});
  topic.receivers.push_back(&connection);
  return true;
}

bool Topics::unsubscribe(std::string_view name, WebSocketConnection& connection) {
  const std::vector<Subscriptions::Place>& places = connection.subscriptions().places_;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (places[i].topic->name != name) continue;
    leave(connection, i);
    return true;
  }
  return false;
}

void Topics::unsubscribe_all(WebSocketConnection& connection) {
  while (!connection.subscriptions().places_.empty()) leave(connection, 0);
}

// The last receiver takes the place of the one that leaves.
void Topics::leave(WebSocketConnection& connection, std::size_t place) {
  std::vector<Subscriptions::Place>& places = connection.subscriptions().places_;
  const auto [topic, index] = places[place];
  places[place] = places.back();
  places.pop_back();
  WebSocketConnection* last = topic->receivers.back();
  topic->receivers.pop_back();
  if (last != &connection) {
    topic->receivers[index] = last;
    for (Subscriptions::Place& other : last->subscriptions().places_) {
      if (other.topic == topic) other.index = index;
    }
  }
  if (topic->receivers.empty()) topics_.erase(topics_.find(topic->name));
}

std::size_t Topics::publish(std::string_view name, websocket::MessageKind kind, std::string_view payload) {
  auto found = topics_.find(name);
  if (found == topics_.end()) return 0;
  SharedMessage message(pool_, settings_, kind, payload);
  std::size_t count = 0;
  // No receiver leaves meanwhile: what a delivery changes is drawn at the end of the turn.
  for (WebSocketConnection* receiver : found->second->receivers) count += receiver->deliver(message) ? 1 : 0;
  return count;
}

}  // namespace fasterapi::connection
