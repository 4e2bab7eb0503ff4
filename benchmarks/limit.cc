// The limit: what an HTTP/1 server on libuv and llhttp costs when there is no application at all.
// It reads and parses every request to its end, answers each with the same bytes, keeps the
// connection as the request asks, and stops reading while an answer waits for the socket. It has
// no timeouts, no limits and a fixed Date: a measure for the benchmarks, not a server to use.
// Connections that ask to be WebSockets make it the limit of a fan-out: what one of them sends in a small
// frame goes to all by one bare write() each.
//
// Usage: fasterapi_limit [port]      port 0 (the default) takes a free one; it is printed.
// Ownership: a Connection is freed by the callback of its uv_close, the only place that may.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "llhttp.h"
#include "uv.h"

namespace {

constexpr char kAnswer[] =
    "HTTP/1.1 200 OK\r\n"
    "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    "server: limit\r\n"
    "content-type: text/plain; charset=utf-8\r\n"
    "content-length: 13\r\n"
    "\r\n"
    "Hello, World!";
constexpr std::size_t kAnswerSize = sizeof(kAnswer) - 1;

// The accept value that belongs to the key of RFC 6455 section 1.3, which websocket_load.cc sends.
constexpr char kUpgraded[] =
    "HTTP/1.1 101 Switching Protocols\r\n"
    "upgrade: websocket\r\n"
    "connection: Upgrade\r\n"
    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    "\r\n";

// As libuv suggests to its callers; one buffer is enough, since a read is parsed before the next.
char read_buffer[64 * 1024];

struct Connection {
  uv_tcp_t socket;
  uv_write_t write;
  llhttp_t parser;
  std::string output;  // unchanged while `write` is under way
  bool last = false;   // the peer asked to close after the answer
};

// The descriptors of all WebSockets; main() has them, and the loop's `data` leads there.
using WebSockets = std::vector<uv_os_fd_t>;

WebSockets& websockets_of(Connection* connection) {
  return *static_cast<WebSockets*>(connection->socket.loop->data);
}

uv_os_fd_t descriptor(Connection* connection) {
  uv_os_fd_t fd = -1;
  uv_fileno(reinterpret_cast<uv_handle_t*>(&connection->socket), &fd);
  return fd;
}

void close_connection(Connection* connection) {
  auto* handle = reinterpret_cast<uv_handle_t*>(&connection->socket);
  if (uv_is_closing(handle)) return;
  std::erase(websockets_of(connection), descriptor(connection));
  uv_close(handle, [](uv_handle_t* closed) { delete static_cast<Connection*>(closed->data); });
}

void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer);

void on_alloc(uv_handle_t*, std::size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(read_buffer, sizeof(read_buffer));
}

int on_message_complete(llhttp_t* parser) {
  auto* connection = static_cast<Connection*>(parser->data);
  if (parser->upgrade) {
    connection->output.append(kUpgraded);
    websockets_of(connection).push_back(descriptor(connection));
    return 0;
  }
  connection->output.append(kAnswer, kAnswerSize);
  if (!llhttp_should_keep_alive(parser)) connection->last = true;
  return 0;
}

void on_written(uv_write_t* write, int status) {
  auto* connection = static_cast<Connection*>(write->data);
  connection->output.clear();
  if (status < 0 || connection->last) return close_connection(connection);
  uv_read_start(reinterpret_cast<uv_stream_t*>(&connection->socket), on_alloc, on_read);
}

// Tries the socket at once, which nearly always takes everything, and queues only what it left.
void flush(Connection* connection) {
  auto* stream = reinterpret_cast<uv_stream_t*>(&connection->socket);
  std::string& output = connection->output;
  uv_buf_t bytes = uv_buf_init(output.data(), static_cast<unsigned>(output.size()));
  int written = uv_try_write(stream, &bytes, 1);
  if (written == UV_EAGAIN) written = 0;
  if (written < 0) return close_connection(connection);
  if (static_cast<std::size_t>(written) == output.size()) {
    output.clear();
    if (connection->last) close_connection(connection);
    return;
  }
  output.erase(0, static_cast<std::size_t>(written));
  uv_read_stop(stream);
  bytes = uv_buf_init(output.data(), static_cast<unsigned>(output.size()));
  if (uv_write(&connection->write, stream, &bytes, 1, on_written) != 0) close_connection(connection);
}

// Whole frames of less than 126 bytes are all that is understood: two bytes, the mask, the payload.
void fan_out(const WebSockets& websockets, std::string_view frame) {
  std::string message(frame.substr(0, 2));
  message[1] &= 0x7f;
  for (std::size_t i = 6; i < frame.size(); ++i)
    message += static_cast<char>(frame[i] ^ frame[2 + (i - 6) % 4]);
  for (const uv_os_fd_t fd : websockets) {
    // A receiver that has no room would have to be waited for; the load client notices what is missing.
    if (write(fd, message.data(), message.size()) < 0) std::perror("fasterapi_limit: write");
  }
}

void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  auto* connection = static_cast<Connection*>(stream->data);
  if (size < 0) return close_connection(connection);
  if (size == 0) return;
  if (connection->parser.upgrade)
    return fan_out(websockets_of(connection), {buffer->base, static_cast<std::size_t>(size)});
  const llhttp_errno_t error =
      llhttp_execute(&connection->parser, buffer->base, static_cast<std::size_t>(size));
  if (error != HPE_OK && error != HPE_PAUSED_UPGRADE)
    connection->last = true;  // answer what was complete, then close
  if (!connection->output.empty()) return flush(connection);
  if (connection->last) close_connection(connection);
}

llhttp_settings_t make_settings() {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_message_complete = on_message_complete;
  return settings;
}

void on_connection(uv_stream_t* listener, int status) {
  static const llhttp_settings_t settings = make_settings();
  if (status < 0) return;
  auto* connection = new Connection;
  uv_tcp_init(listener->loop, &connection->socket);
  connection->socket.data = connection;
  connection->write.data = connection;
  llhttp_init(&connection->parser, HTTP_REQUEST, &settings);
  connection->parser.data = connection;
  auto* stream = reinterpret_cast<uv_stream_t*>(&connection->socket);
  if (uv_accept(listener, stream) != 0) return close_connection(connection);
  uv_tcp_nodelay(&connection->socket, 1);
  uv_read_start(stream, on_alloc, on_read);
}

int fail(const char* what, int error) {
  std::fprintf(stderr, "fasterapi_limit: %s: %s\n", what, uv_strerror(error));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const int wanted = argc > 1 ? std::atoi(argv[1]) : 0;
  std::signal(SIGPIPE, SIG_IGN);
  uv_loop_t* loop = uv_default_loop();
  WebSockets websockets;
  loop->data = &websockets;
  uv_tcp_t listener;
  sockaddr_in address;
  uv_tcp_init(loop, &listener);
  uv_ip4_addr("127.0.0.1", wanted, &address);
  if (int error = uv_tcp_bind(&listener, reinterpret_cast<sockaddr*>(&address), 0))
    return fail("bind", error);
  if (int error = uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 1024, on_connection))
    return fail("listen", error);
  int length = sizeof(address);
  uv_tcp_getsockname(&listener, reinterpret_cast<sockaddr*>(&address), &length);
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return uv_run(loop, UV_RUN_DEFAULT);
}
