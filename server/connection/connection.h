// One accepted connection, whatever it speaks, as the Server sees it. Owned by the Server; what has
// ended() is destroyed at the end of the turn.
#pragma once

#include <cstddef>

namespace fasterapi::connection {

class Connection {
 public:
  virtual ~Connection() = default;

  virtual void open() = 0;    // starts to read
  virtual void drain() = 0;   // the server stops: ends as soon as what is in hand allows
  virtual void retire() = 0;  // another server has taken over: ends at the next occasion
  virtual void abort() = 0;   // cut now

  std::size_t index = 0;  // this connection's place in the server's list
};

}  // namespace fasterapi::connection
