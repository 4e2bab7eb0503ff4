#include "server/connection/access_log.h"

#include <utility>

#include "server/base/bytes.h"
#include "server/base/log.h"
#include "server/net/lines.h"

namespace fasterapi::connection {

namespace {
// Leaves room in a line of net::kMaxLine bytes for the rest of it.
constexpr std::size_t kMaxTarget = 3072;
}  // namespace

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
  if (target_.size() > kMaxTarget) target_.resize(kMaxTarget), target_.append("...");
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
  if (dropped_ > 0) {
    std::string told = "WARNING:  " + std::to_string(dropped_) + " access log lines were dropped\n";
    if (net::write_lines(fd_, told) == 0) dropped_ = 0;
  }
  dropped_ += net::write_lines(fd_, lines_);
  lines_.clear();
}

}  // namespace fasterapi::connection
