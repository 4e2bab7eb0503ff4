// One line or one call for each answered request. Lines are gathered and written once a turn.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "server/base/message.h"
#include "server/net/loop.h"
#include "server/net/stream.h"

namespace fasterapi::connection {

struct AccessRecord {
  std::string_view client;  // "host:port", or "" for a Unix socket
  std::string_view method;
  std::string_view target;  // as received, with root_path before it
  base::Version version;
  int status = 0;
};

class AccessLog {
 public:
  using Callback = std::function<void(const AccessRecord&)>;

  // Lines of uvicorn's form to a file descriptor, which stays the caller's. Lines that it does not
  // take (full disk, closed pipe, a pipe that nobody empties) are dropped and counted: no request
  // waits for the log. The count is told once the descriptor takes lines again.
  AccessLog(net::Loop& loop, int fd, std::string root_path);
  AccessLog(net::Loop& loop, Callback callback, std::string root_path);
  ~AccessLog();

  void record(const net::Address& peer, const base::RequestHead& request, int status);

 private:
  void write_lines();

  net::Loop& loop_;
  int fd_ = -1;
  Callback callback_;
  std::string root_path_;
  std::string client_;
  std::string target_;
  std::string lines_;
  std::size_t dropped_ = 0;
  net::Deferred flush_;
};

}  // namespace fasterapi::connection
