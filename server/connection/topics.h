// Publish and subscribe among the WebSockets of one server: a message is framed once, and deflated once for
// each size of window, however many receive it. At most once: a receiver that takes too slowly misses
// messages, which it counts, and nobody waits for it. Owned by the Server.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/settings.h"
#include "server/websocket/codec.h"
#include "server/websocket/deflate.h"

namespace fasterapi::connection {

class WebSocketConnection;

struct Topic {
  std::string name;
  std::vector<WebSocketConnection*> receivers;
};

// The topics of one connection. A member of it.
class Subscriptions {
 private:
  friend class Topics;
  struct Place {
    Topic* topic;
    std::size_t index;  // in its receivers
  };
  std::vector<Place> places_;
};

// The frames of one message, made when the first receiver needs them.
class SharedMessage {
 public:
  SharedMessage(websocket::DeflatePool& pool, const base::WebSocketSettings& settings,
                websocket::MessageKind kind, std::string_view payload)
      : pool_(pool), settings_(settings), kind_(kind), payload_(payload) {}

  std::size_t size() const { return payload_.size(); }
  // For a receiver that agreed on permessage-deflate with such a window; 0: on none.
  const base::SharedBytes& frames(int window_bits);

 private:
  websocket::DeflatePool& pool_;
  const base::WebSocketSettings& settings_;
  websocket::MessageKind kind_;
  std::string_view payload_;
  base::SharedBytes plain_;
  std::map<int, base::SharedBytes> deflated_;
};

class Topics {
 public:
  Topics(websocket::DeflatePool& pool, const base::WebSocketSettings& settings)
      : pool_(pool), settings_(settings) {}

  // False: it was subscribed already.
  bool subscribe(std::string_view topic, WebSocketConnection& connection);
  // False: it was not subscribed.
  bool unsubscribe(std::string_view topic, WebSocketConnection& connection);
  void unsubscribe_all(WebSocketConnection& connection);
  // To how many connections the message goes.
  std::size_t publish(std::string_view topic, websocket::MessageKind kind, std::string_view payload);

 private:
  void leave(WebSocketConnection& connection, std::size_t place);

  websocket::DeflatePool& pool_;
  const base::WebSocketSettings& settings_;
  std::map<std::string, std::unique_ptr<Topic>, std::less<>> topics_;  // those that have receivers
};

}  // namespace fasterapi::connection
