#include "server/net/tcp_stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

namespace fasterapi::net {

namespace {
// More pieces than this in one sendmsg bring nothing measurable; the kernel's limit is 1024.
constexpr std::size_t kMaxVectors = 64;

Address to_address(const sockaddr_storage& storage, socklen_t size) {
  Address address;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &in->sin_addr, text.data(), text.size());
    address = {Address::Family::kInet, text.data(), ntohs(in->sin_port)};
  } else if (storage.ss_family == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    inet_ntop(AF_INET6, &in6->sin6_addr, text.data(), text.size());
    address = {Address::Family::kInet, text.data(), ntohs(in6->sin6_port)};
  } else if (storage.ss_family == AF_UNIX) {
    const auto* un = reinterpret_cast<const sockaddr_un*>(&storage);
    std::size_t most = size - std::min<std::size_t>(size, offsetof(sockaddr_un, sun_path));
    std::string_view path(un->sun_path, most);
    // An abstract name begins with NUL; a path ends with one.
    if (!path.empty() && path[0] != '\0') path = path.substr(0, path.find('\0'));
    address = {Address::Family::kUnix, std::string(path), 0};
  }
  return address;
}
}  // namespace

TcpStream::TcpStream(Loop& loop, int fd, Address::Family family)
    : loop_(loop),
      fd_(fd),
      family_(family),
      watch_(
          loop.poller(),
          [](void* self, bool readable, bool writable) {
            static_cast<TcpStream*>(self)->on_ready(readable, writable);
          },
          this),
      entry_(loop.ledger(), base::Kind::kStream) {
  failed_ = {[](void* self) {
               auto* stream = static_cast<TcpStream*>(self);
               stream->sink_->on_closed(error_text(stream->error_));
             },
             this};
}

TcpStream::~TcpStream() {
  loop_.forget(failed_);
  close();
}

void TcpStream::close() {
  if (fd_ < 0) return;
  watch_.stop();
  ::close(std::exchange(fd_, -1));
  loop_.descriptor_freed();
}

// --- Reading -------------------------------------------------------------------------------

void TcpStream::read_start() {
  if (reading_ || fd_ < 0 || error_ != 0) return;
  reading_ = true;
  update_watch();
}

// The kernel is told when something comes that is not wanted: most pauses end before that.
void TcpStream::read_stop() { reading_ = false; }

// One thing in a turn, since the sink may end this object: what else is ready is told again.
void TcpStream::on_ready(bool readable, bool writable) {
  if (writable && watches_write_) {
    if (!contain([this] { go_on_writing(); })) fail_later(ENOMEM);
  } else if (readable && reading_) {
    read();
  } else if (!update_watch() && !reading_ && in_flight_.empty()) {
    on_hang_up();
  }
}

// Nothing is watched for, and yet there is something: the peer has reset the connection. Or, at a Unix
// socket, only closed its end, behind what it had sent: that is still to be read.
void TcpStream::on_hang_up() {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return fail_later(error);
  watch_.stop();
}

// One buffer in a turn: whoever has more is ready again, behind the others.
void TcpStream::read() {
  std::vector<char>& buffer = loop_.read_buffer();
  ssize_t count = recv(fd_, buffer.data(), buffer.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count < 0) return fail_later(errno);
  if (count == 0) {
    reading_ = false;
    update_watch();
  }
  bool told = contain([&] {
    count == 0 ? sink_->on_end() : sink_->on_bytes({buffer.data(), static_cast<std::size_t>(count)});
  });
  if (!told) fail_later(ENOMEM);
}

// --- Writing -------------------------------------------------------------------------------

void TcpStream::flush(base::Output& output) {
  if (fd_ < 0 || error_ != 0) return output.clear();
  if (!in_flight_.empty() || output.empty()) return;
  taken_ += output.size();
  if (write_now(output)) return;
  std::swap(in_flight_, output);
  update_watch();
  in_flight_.shrink();
}

// Writes until all is gone or the socket is broken (true), or the socket is full (false).
bool TcpStream::write_now(base::Output& output) {
  std::array<iovec, kMaxVectors> vectors;
  while (!output.empty()) {
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = output.gather(vectors);
    ssize_t written = sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) return false;
    if (written < 0) {
      fail_later(errno);
      output.clear();
      return true;
    }
    output.consume(static_cast<std::size_t>(written));
  }
  return true;
}

void TcpStream::go_on_writing() {
  if (!write_now(in_flight_)) return in_flight_.shrink();
  if (error_ != 0) return;
  update_watch();
  if (shutdown_wanted_) return shutdown();
  sink_->on_drained();
}

// False when the kernel knows already.
bool TcpStream::update_watch() {
  bool write = !in_flight_.empty();
  if (fd_ < 0 || (reading_ == watches_read_ && write == watches_write_)) return false;
  watches_read_ = reading_;
  watches_write_ = write;
  int error = reading_ || write ? watch_.set(fd_, reading_, write) : watch_.pause();
  if (error != 0) fail_later(error);
  return true;
}

void TcpStream::shutdown() {
  if (fd_ < 0 || error_ != 0) return;
  shutdown_wanted_ = true;
  if (in_flight_.empty()) ::shutdown(fd_, SHUT_WR);  // else go_on_writing() comes back here
}

void TcpStream::reset() {
  if (fd_ < 0) return;
  reading_ = false;
  in_flight_.clear();
  linger at_once{1, 0};
  if (family_ == Address::Family::kInet) setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

// A write fails inside the application's own call: the sink hears of it after that has returned.
void TcpStream::fail_later(int error) {
  if (error_ == 0) error_ = error;
  reading_ = false;
  in_flight_.clear();
  watches_read_ = watches_write_ = false;
  watch_.stop();
  loop_.at_end_of_turn(failed_);
}

// --- Addresses -----------------------------------------------------------------------------

Address TcpStream::peer_address() const {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (fd_ < 0 || family_ == Address::Family::kUnix) return {};
  if (getpeername(fd_, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return to_address(storage, size);
}

Address TcpStream::local_address() const {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (fd_ < 0 || getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return to_address(storage, size);
}

}  // namespace fasterapi::net
