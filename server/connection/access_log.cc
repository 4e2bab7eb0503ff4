#include "server/connection/access_log.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "server/base/bytes.h"
#include "server/base/log.h"

namespace fasterapi::connection {

AccessLog::AccessLog(net::Loop& loop, int fd, std::string root_path)
    : loop_(loop), fd_(fd), root_path_(std::move(root_path)) {
  flush_ = {[](void* self) { static_cast<AccessLog*>(self)->write_lines(); }, this};
}

AccessLog::AccessLog(net::Loop& loop, Callback callback, std::string root_path)
    : loop_(loop), callback_(std::move(callback)), root_path_(std::move(root_path)) {}

AccessLog::~AccessLog() {
  if (!lines_.empty()) write_lines();
  loop_.forget(flush_);
}

void AccessLog::record(const net::Address& peer, const base::RequestHead& request, int status) {
  client_.clear();
  if (peer.family == net::Address::Family::kInet) {
    client_.append(peer.host).push_back(':');
    base::append_decimal(client_, static_cast<std::uint64_t>(peer.port));
  }
  target_ = root_path_;
  base::append_escaped(target_, request.target);
  AccessRecord record{client_, request.method, target_, request.version, status};
  if (callback_) return callback_(record);

  lines_.append("INFO:     ").append(client_).append(" - \"");
  lines_.append(request.method).append(" ").append(target_).append(" HTTP/");
  lines_.push_back(static_cast<char>('0' + request.version.major));
  lines_.push_back('.');
  lines_.push_back(static_cast<char>('0' + request.version.minor));
  lines_.append("\" ");
  base::append_decimal(lines_, static_cast<std::uint64_t>(status));
  lines_.append(" ").append(base::reason_phrase(status)).push_back('\n');
  loop_.at_end_of_turn(flush_);
}

void AccessLog::write_lines() {
  std::string told;
  if (dropped_ > 0) {
    told = "WARNING:  " + std::to_string(dropped_) + " access log lines were dropped\n";
    if (write_piece(told)) dropped_ = 0;
  }
  std::string_view left = lines_;
  while (!left.empty()) {
    // As many whole lines as a pipe takes without blocking; a longer line goes alone.
    std::size_t end = left.size() <= PIPE_BUF ? left.size() : left.rfind('\n', PIPE_BUF - 1) + 1;
    if (end == 0) end = left.find('\n') + 1;
    std::string_view piece = left.substr(0, end);
    if (!write_piece(piece)) dropped_ += static_cast<std::size_t>(std::count(piece.begin(), piece.end(), '\n'));
    left.remove_prefix(end);
  }
  lines_.clear();
}

// poll(2): a pipe that is writable takes PIPE_BUF bytes at once.
bool AccessLog::write_piece(std::string_view piece) {
  pollfd ready{fd_, POLLOUT, 0};
  if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
  return ::write(fd_, piece.data(), piece.size()) == static_cast<ssize_t>(piece.size());
}

}  // namespace fasterapi::connection
