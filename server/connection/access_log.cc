#include "server/connection/access_log.h"

#include <unistd.h>

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
  [[maybe_unused]] ssize_t written = ::write(fd_, lines_.data(), lines_.size());
  lines_.clear();
}

}  // namespace fasterapi::connection
