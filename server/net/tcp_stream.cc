#include "server/net/tcp_stream.h"

#include <uv.h>

#include <array>
#include <utility>

namespace fasterapi::net {

namespace {
// More pieces than this in one writev bring nothing measurable; the kernel's limit is 1024.
constexpr std::size_t kMaxVectors = 64;

// Read in one turn before other streams run: four full reads. libuv alone would take 32.
constexpr std::size_t kMaxReadPerTurn = 256 * 1024;

uv_buf_t* as_buffers(iovec* vectors) {
  // libuv promises that uv_buf_t has iovec's layout on Unix (docs: "uv_buf_t").
  static_assert(sizeof(uv_buf_t) == sizeof(iovec));
  return reinterpret_cast<uv_buf_t*>(vectors);
}

Address to_address(const sockaddr_storage& storage) {
  Address address;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&storage);
    uv_ip4_name(in, text.data(), text.size());
    address = {Address::Family::kInet, text.data(), ntohs(in->sin_port)};
  } else if (storage.ss_family == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    uv_ip6_name(in6, text.data(), text.size());
    address = {Address::Family::kInet, text.data(), ntohs(in6->sin6_port)};
  }
  return address;
}
}  // namespace

struct TcpStream::Handle {
  union {
    uv_handle_t any;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
  TcpStream* owner = nullptr;  // null once the stream is gone
  Address::Family family;
  uv_write_t write;
  uv_shutdown_t shutdown;
  base::Output in_flight;     // bytes that libuv has, or will be given next
  std::size_t submitted = 0;  // the first so many of them are in the running uv_write

  explicit Handle(Address::Family kind) : family(kind) {}

  int init(uv_loop_t* loop) {
    return family == Address::Family::kUnix ? uv_pipe_init(loop, &pipe, 0) : uv_tcp_init(loop, &tcp);
  }
  void close() { uv_close(&any, &on_close); }
  // The bytes in flight may be Python's to release.
  static void on_close(uv_handle_t* handle) {
    static_cast<Loop*>(handle->loop->data)->enter();
    delete static_cast<Handle*>(handle->data);
  }
};

std::unique_ptr<TcpStream> TcpStream::accept(Loop& loop, uv_stream_t* listener, Address::Family family) {
  auto handle = std::make_unique<Handle>(family);
  if (handle->init(loop.uv()) != 0) return nullptr;
  handle->any.data = handle.get();
  Handle* raw = handle.release();
  if (uv_accept(listener, &raw->stream) != 0) {
    raw->close();
    return nullptr;
  }
  return std::unique_ptr<TcpStream>(new TcpStream(loop, raw));
}

TcpStream::TcpStream(Loop& loop, Handle* handle)
    : loop_(loop), handle_(handle), entry_(loop.ledger(), base::Kind::kStream) {
  handle_->owner = this;
  read_on_ = {[](void* self) { static_cast<TcpStream*>(self)->read_start(); }, this};
  failed_ = {[](void* self) {
               auto* stream = static_cast<TcpStream*>(self);
               stream->sink_->on_closed(error_text(stream->error_));
             },
             this};
}

TcpStream::~TcpStream() {
  loop_.forget(read_on_);
  loop_.forget(failed_);
  if (handle_ == nullptr) return;
  handle_->owner = nullptr;
  handle_->close();
  loop_.changed();
}

void TcpStream::read_start() {
  if (reading_ || read_on_.queued || handle_ == nullptr || error_ != 0) return;
  int failed = uv_read_start(
      &handle_->stream,
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
        std::vector<char>& shared = static_cast<Loop*>(handle->loop->data)->read_buffer();
        *buffer = uv_buf_init(shared.data(), static_cast<unsigned>(shared.size()));
      },
      [](uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
        TcpStream* self = static_cast<Handle*>(stream->data)->owner;
        if (self == nullptr || count == 0) return;
        self->loop_.enter();
        if (!contain([&] { self->on_read(count, buffer->base); })) self->fail_later(UV_ENOMEM);
      });
  if (failed != 0) return fail_later(failed);
  reading_ = true;
  loop_.changed();
}

void TcpStream::on_read(long count, const char* bytes) {
  if (count > 0) {
    count_read(static_cast<std::size_t>(count));
    return sink_->on_bytes({bytes, static_cast<std::size_t>(count)});
  }
  read_stop();
  if (count == UV_EOF) return sink_->on_end();
  fail_later(static_cast<int>(count));
}

void TcpStream::count_read(std::size_t count) {
  if (read_turn_ != loop_.turn()) {
    read_turn_ = loop_.turn();
    read_this_turn_ = 0;
  }
  read_this_turn_ += count;
  if (read_this_turn_ < kMaxReadPerTurn) return;
  read_stop();
  loop_.at_next_turn(read_on_);
}

void TcpStream::read_stop() {
  loop_.forget(read_on_);
  if (!reading_ || handle_ == nullptr) return;
  reading_ = false;
  uv_read_stop(&handle_->stream);
}

void TcpStream::flush(base::Output& output) {
  if (handle_ == nullptr || error_ != 0) return output.clear();
  if (writing_ || output.empty()) return;
  taken_ += output.size();
  if (write_now(output)) return;
  // libuv keeps references until its callback, so the bytes move out of reach of later appends.
  std::swap(handle_->in_flight, output);
  write_later();
}

// Writes until all is gone or the socket is broken (true), or the socket is full (false).
bool TcpStream::write_now(base::Output& output) {
  std::array<iovec, kMaxVectors> vectors;
  while (!output.empty()) {
    std::size_t count = output.gather(vectors);
    int written = uv_try_write(&handle_->stream, as_buffers(vectors.data()), static_cast<unsigned>(count));
    if (written == UV_EAGAIN) return false;
    if (written < 0) {
      output.clear();
      fail_later(written);
      return true;
    }
    output.consume(static_cast<std::size_t>(written));
  }
  return true;
}

void TcpStream::write_later() {
  std::array<iovec, kMaxVectors> vectors;  // libuv copies the vectors, not the bytes
  std::size_t count = handle_->in_flight.gather(vectors);
  handle_->submitted = 0;
  for (std::size_t i = 0; i < count; ++i) handle_->submitted += vectors[i].iov_len;
  int failed = uv_write(&handle_->write, &handle_->stream, as_buffers(vectors.data()),
                        static_cast<unsigned>(count), [](uv_write_t* request, int status) {
                          auto* handle = static_cast<Handle*>(request->handle->data);
                          static_cast<Loop*>(request->handle->loop->data)->enter();
                          if (handle->owner == nullptr) return;
                          if (!contain([&] { handle->owner->on_written(status); }))
                            handle->owner->fail_later(UV_ENOMEM);
                        });
  if (failed != 0) return fail_later(failed);
  writing_ = true;
  loop_.changed();
}

void TcpStream::on_written(int status) {
  writing_ = false;
  if (status != 0) return fail_later(status);
  handle_->in_flight.consume(handle_->submitted);
  if (!handle_->in_flight.empty()) return write_later();
  if (shutdown_wanted_) return shutdown();
  sink_->on_drained();
}

std::size_t TcpStream::queued() const {
  if (!writing_) return 0;
  std::size_t unsent = uv_stream_get_write_queue_size(&handle_->stream);
  return handle_->in_flight.size() - handle_->submitted + unsent;
}

void TcpStream::shutdown() {
  if (handle_ == nullptr || error_ != 0) return;
  shutdown_wanted_ = true;
  if (writing_) return;  // on_written comes back here
  uv_shutdown(&handle_->shutdown, &handle_->stream, [](uv_shutdown_t*, int) {});
  loop_.changed();
}

void TcpStream::reset() {
  if (handle_ == nullptr) return;
  Handle* handle = std::exchange(handle_, nullptr);
  handle->owner = nullptr;
  reading_ = writing_ = false;
  loop_.changed();
  // uv_tcp_close_reset refuses after uv_shutdown; a plain close has to do then.
  if (handle->family == Address::Family::kInet && !shutdown_wanted_ &&
      uv_tcp_close_reset(&handle->tcp, &Handle::on_close) == 0) {
    return;
  }
  handle->close();
}

// A write fails inside the application's own call: the sink hears of it after that has returned.
void TcpStream::fail_later(int uv_error) {
  read_stop();
  if (error_ == 0) error_ = uv_error;
  loop_.at_end_of_turn(failed_);
}

Address TcpStream::peer_address() const {
  sockaddr_storage storage{};
  int size = sizeof storage;
  if (handle_ == nullptr || handle_->family == Address::Family::kUnix) return {};
  if (uv_tcp_getpeername(&handle_->tcp, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return to_address(storage);
}

Address TcpStream::local_address() const {
  if (handle_ == nullptr) return {};
  if (handle_->family == Address::Family::kUnix) {
    std::array<char, 256> path{};
    std::size_t size = path.size();
    if (uv_pipe_getsockname(&handle_->pipe, path.data(), &size) != 0) return {};
    return {Address::Family::kUnix, std::string(path.data(), size), 0};
  }
  sockaddr_storage storage{};
  int size = sizeof storage;
  if (uv_tcp_getsockname(&handle_->tcp, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return to_address(storage);
}

}  // namespace fasterapi::net
