#include "server/net/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>

namespace fasterapi::net {

struct Listener::Handle {
  union {
    uv_handle_t any;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
  Listener* owner = nullptr;
  Address::Family family;

  explicit Handle(Address::Family kind) : family(kind) {}
};

namespace {
base::Failure system_failure(int error, const char* what) {
  return {error, std::string(what) + ": " + error_text(-error)};
}
}  // namespace

base::Result<std::unique_ptr<Listener>> Listener::open(Loop& loop, int fd, int backlog, OnStream on_stream) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    int error = errno;
    close(fd);
    return system_failure(error, "getsockname");
  }
  hold_standard_descriptors();
  bool is_unix = bound.ss_family == AF_UNIX;
  auto* handle = new Handle(is_unix ? Address::Family::kUnix : Address::Family::kInet);
  int failed = is_unix ? uv_pipe_init(loop.uv(), &handle->pipe, 0) : uv_tcp_init(loop.uv(), &handle->tcp);
  if (failed != 0) {
    close(fd);
    delete handle;
    return system_failure(-failed, "socket");
  }
  handle->any.data = handle;
  std::unique_ptr<Listener> listener(new Listener(loop, handle, std::move(on_stream)));
  failed = is_unix ? uv_pipe_open(&handle->pipe, fd) : uv_tcp_open(&handle->tcp, fd);
  if (failed != 0) {
    close(fd);
    return system_failure(-failed, "open");
  }
  // Accepted sockets inherit it (Linux). Answers leave in whole writes: waiting for more
  // to send with them (Nagle) would only delay the small pieces of a stream.
  int on = 1;
  if (!is_unix) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  failed = uv_listen(&handle->stream, backlog, [](uv_stream_t* stream, int status) {
    auto* self = static_cast<Handle*>(stream->data);
    static_cast<Loop*>(stream->loop->data)->enter();
    contain([&] {
      if (self->owner != nullptr) self->owner->on_connection(status);
    });
  });
  if (failed != 0) return system_failure(-failed, "listen");
  loop.changed();
  return listener;
}

Listener::Listener(Loop& loop, Handle* handle, OnStream on_stream)
    : loop_(loop),
      handle_(handle),
      on_stream_(std::move(on_stream)),
      entry_(loop.ledger(), base::Kind::kListener) {
  handle_->owner = this;
}

Listener::~Listener() {
  handle_->owner = nullptr;
  uv_close(&handle_->any, [](uv_handle_t* closed) { delete static_cast<Handle*>(closed->data); });
  loop_.changed();
}

void Listener::on_connection(int status) {
  if (status != 0) return;  // out of descriptors or the like: libuv goes on with the next one
  std::unique_ptr<TcpStream> stream = TcpStream::accept(loop_, &handle_->stream, handle_->family);
  if (stream != nullptr) on_stream_(std::move(stream));
}

}  // namespace fasterapi::net
