// Real sockets on this machine, with plain system calls: the other side of net/'s streams.
// Nothing here blocks.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace fasterapi::testing {

inline int open_socket(int family) { return ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

// A bound socket, as the Listener wants it: a free port of the loopback device, or a path.
class Endpoint {
 public:
  static Endpoint loopback(int family = AF_INET) {
    Endpoint made(family);
    if (family == AF_INET6) {
      auto* in6 = reinterpret_cast<sockaddr_in6*>(&made.name_);
      in6->sin6_addr = in6addr_loopback;
      made.size_ = sizeof *in6;
    } else {
      auto* in = reinterpret_cast<sockaddr_in*>(&made.name_);
      in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      made.size_ = sizeof *in;
    }
    made.bind();
    return made;
  }
  static Endpoint path(const std::string& path) {
    Endpoint made(AF_UNIX);
    auto* un = reinterpret_cast<sockaddr_un*>(&made.name_);
    EXPECT_LT(path.size(), sizeof un->sun_path);
    std::memcpy(un->sun_path, path.data(), path.size());
    made.size_ = sizeof *un;
    ::unlink(path.c_str());
    made.bind();
    return made;
  }

  bool bound() const { return fd_ >= 0; }
  int take_fd() { return std::exchange(fd_, -1); }
  const sockaddr* name() const { return reinterpret_cast<const sockaddr*>(&name_); }
  socklen_t size() const { return size_; }
  int family() const { return name_.ss_family; }

 private:
  explicit Endpoint(int family) : fd_(open_socket(family)) {
    name_.ss_family = static_cast<sa_family_t>(family);
  }
  void bind() {
    socklen_t size = sizeof name_;
    if (fd_ >= 0 && ::bind(fd_, name(), size_) == 0) {
      ::getsockname(fd_, reinterpret_cast<sockaddr*>(&name_), &size);
    } else {
      ::close(std::exchange(fd_, -1));
    }
  }

  int fd_;
  sockaddr_storage name_{};
  socklen_t size_ = 0;
};

// A client that connects at once: the kernel does that before anyone accepts.
class SocketPeer {
 public:
  // A small receive buffer makes the other side's writes wait soon.
  explicit SocketPeer(const Endpoint& endpoint, int receive_buffer = 0)
      : fd_(open_socket(endpoint.family())) {
    if (receive_buffer > 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    int failed = ::connect(fd_, endpoint.name(), endpoint.size());
    EXPECT_TRUE(failed == 0 || errno == EINPROGRESS) << std::strerror(errno);
  }
  ~SocketPeer() { close(); }
  SocketPeer(const SocketPeer&) = delete;
  SocketPeer& operator=(const SocketPeer&) = delete;

  // How much of it the kernel took.
  std::size_t send(std::string_view bytes) {
    ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }
  // Appends what has come to received; false when nothing has.
  bool receive() {
    std::array<char, 64 * 1024> buffer;  // not initialized: this is called very often
    ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (count > 0) received.append(buffer.data(), static_cast<std::size_t>(count));
    if (count == 0) ended = true;
    if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK) error = errno;
    return count > 0;
  }
  void shutdown() { ::shutdown(fd_, SHUT_WR); }
  void reset() {
    linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  int port() const {
    sockaddr_in name{};  // sin_port and sin6_port lie at the same place
    socklen_t size = sizeof name;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &size);
    return ntohs(name.sin_port);
  }

  std::string received;
  bool ended = false;  // the other side's FIN has come
  int error = 0;       // errno of the last receive that failed

 private:
  int fd_;
};

}  // namespace fasterapi::testing
