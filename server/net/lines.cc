#include "server/net/lines.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

namespace fasterapi::net {

static_assert(kMaxLine <= PIPE_BUF);

namespace {

// poll(2): a pipe that is writable takes PIPE_BUF bytes at once.
bool write_piece(int fd, std::string_view piece) {
  pollfd ready{fd, POLLOUT, 0};
  if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
  return ::write(fd, piece.data(), piece.size()) == static_cast<ssize_t>(piece.size());
}

}  // namespace

std::size_t write_lines(int fd, std::string_view lines) {
  std::size_t dropped = 0;
  while (!lines.empty()) {
    std::size_t end = lines.size() <= kMaxLine ? lines.size() : lines.rfind('\n', kMaxLine - 1) + 1;
    bool too_long = end == 0;
    if (too_long) end = lines.find('\n') + 1;
    std::string_view piece = lines.substr(0, end);
    if (too_long || !write_piece(fd, piece)) {
      dropped += static_cast<std::size_t>(std::count(piece.begin(), piece.end(), '\n'));
    }
    lines.remove_prefix(end);
  }
  return dropped;
}

}  // namespace fasterapi::net
