// Who answers requests: the ASGI application, or a test's recording handler.
#pragma once

#include "server/base/message.h"
#include "server/connection/exchange.h"

namespace fasterapi::connection {

class Handler {
 public:
  // A request's head has come. The views in `head` live until the call returns. The handler
  // calls exchange.attach() before it returns; it may answer at once or later.
  virtual void on_exchange(Exchange& exchange, const base::RequestHead& head) = 0;
  // Requests that are still being worked on, also behind their answer.
  virtual std::size_t in_hand() const = 0;

 protected:
  ~Handler() = default;
};

}  // namespace fasterapi::connection
