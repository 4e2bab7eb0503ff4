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

  // Lines of uvicorn's form to a file descriptor, which stays the caller's. Bytes that the
  // descriptor does not take (full disk, closed or stuck pipe) are dropped: no request waits.
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
  net::Deferred flush_;
};

}  // namespace fasterapi::connection
