// The load client of the WebSocket rows: connections that send masked frames and check what comes back,
// byte by byte, for much less CPU time than any server under test needs. Frames are made once, before the
// load.
//
// Usage: fasterapi_websocket_load PORT CONNECTIONS SIZE text|json|binary|deflate echo|fanout [COPIES]
//
//   echo     every connection sends a message, waits until it came back COPIES times (1), and sends the next
//   fanout   one connection sends a message; when every connection has it, the next one sends
//
// It prints "ready" when all connections are open. Each line on standard input is a number of seconds to run
// for, answered by one line of JSON; the end of input ends it. Whatever is not as it must be is said on
// standard error, with exit status 1. Only for loopback: the mask never changes. Ownership: Load owns the
// connections; a Connection its socket and its inflater.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <initializer_list>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// The example of RFC 6455 section 1.3; its answer needs no SHA-1 here.
constexpr char kKey[] = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr char kAccept[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
constexpr unsigned char kMask[] = {0x37, 0xfa, 0x21, 0x3d};
constexpr int kPatience = 10'000;  // milliseconds without any progress
// More than a deflate window of 32 KiB holds of 1 KiB each, so that none is sent as a copy of its last time.
constexpr std::size_t kDifferentMessages = 64;

enum Opcode : unsigned char { kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

struct Options {
  int port;
  std::size_t connections;
  std::size_t size;
  bool binary;
  bool deflate;
  bool json;
  bool fanout;
  std::size_t copies;
};

struct Message {
  std::string payload;
  std::string frame;  // masked, ready to be written
};

std::string masked_frame(unsigned char first, std::string_view payload) {
  std::string frame(1, static_cast<char>(first));
  const std::size_t size = payload.size();
  const int length_bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
  frame += static_cast<char>(0x80 | (length_bytes == 0 ? size : length_bytes == 2 ? 126 : 127));
  for (int shift = (length_bytes - 1) * 8; shift >= 0; shift -= 8) frame += static_cast<char>(size >> shift);
  frame.append(reinterpret_cast<const char*>(kMask), sizeof(kMask));
  for (std::size_t i = 0; i < size; ++i)
    frame += static_cast<char>(static_cast<unsigned char>(payload[i]) ^ kMask[i % 4]);
  return frame;
}

// A JSON array of objects with random values, cut to the size: what an application might push.
std::string json_text(std::size_t size, std::mt19937& random) {
  std::string text = "[";
  while (text.size() < size) {
    text += "{\"id\": " + std::to_string(random() % 1'000'000) + ", \"name\": \"item " +
            std::to_string(random() % 1000) + "\", \"price\": " + std::to_string(random() % 10'000) +
            ".5, \"in_stock\": " + (random() % 2 ? "true" : "false") + "}, ";
  }
  text.resize(size);
  return text;
}

// One JSON object of the size, as compact as an application's own encoder writes it.
std::string json_object(std::size_t size, std::mt19937& random) {
  std::string text = "{\"id\":" + std::to_string(random() % 1'000'000) + ",\"in_stock\":true,\"name\":\"";
  while (text.size() + 2 < size) text += static_cast<char>('a' + random() % 26);
  return text + "\"}";
}

// RFC 7692 section 7.2.1: a raw deflate stream, flushed, without its last four bytes. It refers to no earlier
// message, which both kinds of context takeover allow.
std::string deflated(std::string_view payload) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) fail("deflateInit2 failed");
  std::string out(deflateBound(&stream, payload.size()) + 16, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(payload.data()));
  stream.avail_in = static_cast<uInt>(payload.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_SYNC_FLUSH);
  out.resize(stream.total_out - 4);
  deflateEnd(&stream);
  return out;
}

std::vector<Message> make_messages(const Options& options) {
  std::mt19937 random(7692);
  std::vector<Message> messages(options.size <= 64 * 1024 ? kDifferentMessages : 4);
  for (Message& message : messages) {
    message.payload = options.json ? json_object(options.size, random) : json_text(options.size, random);
    const unsigned char first =
        static_cast<unsigned char>(0x80 | (options.deflate ? 0x40 : 0) | (options.binary ? kBinary : kText));
    message.frame = masked_frame(first, options.deflate ? deflated(message.payload) : message.payload);
  }
  return messages;
}

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    fail(std::string("connect: ") + std::strerror(errno));
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const timeval patience{kPatience / 1000, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  return fd;
}

// Reads the answer's head and not one byte of what follows it.
std::string read_head(int fd) {
  std::string head;
  char part[4096];
  while (true) {
    const ssize_t seen = recv(fd, part, sizeof(part), MSG_PEEK);
    if (seen <= 0) fail("no answer to the handshake");
    const std::size_t before = head.size();
    head.append(part, static_cast<std::size_t>(seen));
    const std::size_t end = head.find("\r\n\r\n", before < 3 ? 0 : before - 3);
    const std::size_t taken = end == std::string::npos ? head.size() : end + 4;
    if (recv(fd, part, taken - before, 0) != static_cast<ssize_t>(taken - before)) fail("recv failed");
    head.resize(taken);
    if (end != std::string::npos) return head;
    if (head.size() > 65536) fail("the answer to the handshake does not end");
  }
}

int open_websocket(const Options& options) {
  const int fd = connect_to(options.port);
  std::string request = "GET / HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(options.port) +
                        "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
                        "Sec-WebSocket-Key: " + kKey + "\r\n";
  // What browsers offer.
  if (options.deflate) request += "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
  request += "\r\n";
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    fail("the handshake could not be sent");
  const std::string head = read_head(fd);
  if (head.compare(0, 12, "HTTP/1.1 101") != 0) fail("refused: " + head.substr(0, head.find('\r')));
  if (head.find(kAccept) == std::string::npos) fail("wrong Sec-WebSocket-Accept");
  if (options.deflate != (head.find("permessage-deflate") != std::string::npos))
    fail(options.deflate ? "permessage-deflate is not negotiated" : "an extension that was not offered");
  return fd;
}

class Connection {
 public:
  Connection(const Options& options, std::size_t first) : options_(options), next_(first) {
    fd_ = open_websocket(options);
    if (options.deflate && inflateInit2(&inflater_, -15) != Z_OK) fail("inflateInit2 failed");
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    if (options_.deflate) inflateEnd(&inflater_);
    close(fd_);
  }

  int fd() const { return fd_; }
  bool wants_to_write() const { return sent_ < output_.size() || !control_.empty(); }
  std::size_t take_received() { return std::exchange(received_, 0); }

  // The message that the following ones must be, and the next of them to send.
  const Message& next(const std::vector<Message>& messages) { return messages[next_++ % messages.size()]; }
  void expect(const Message& message) { expected_ = message.payload; }

  void write(std::string_view frame) {
    output_ = frame;
    sent_ = 0;
    flush();
  }

  void flush() {
    if (sent_ < output_.size()) sent_ += write_some(output_.substr(sent_));
    if (sent_ == output_.size() && !control_.empty()) control_.erase(0, write_some(control_));
  }

  void receive(std::string_view data);

 private:
  std::size_t write_some(std::string_view bytes) {
    const ssize_t written = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written >= 0) return static_cast<std::size_t>(written);
    if (errno != EAGAIN) fail(std::string("write: ") + std::strerror(errno));
    return 0;
  }

  void begin_frame();
  void take_payload(std::string_view part);
  void inflate_part(std::string_view part);
  void check(std::string_view part);
  void end_frame();

  const Options& options_;
  int fd_;
  std::size_t next_;
  std::string_view output_;  // a Message's frame
  std::size_t sent_ = 0;
  std::string control_;  // pongs

  unsigned char header_[10];
  std::size_t header_size_ = 0;
  std::size_t header_needed_ = 2;
  std::uint64_t left_ = 0;  // of the frame's payload
  std::string ping_;
  bool in_message_ = false;
  bool compressed_ = false;
  z_stream inflater_{};

  std::string_view expected_;
  std::size_t matched_ = 0;
  std::size_t received_ = 0;  // whole messages
};

void Connection::receive(std::string_view data) {
  while (!data.empty()) {
    if (header_size_ < header_needed_) {
      header_[header_size_++] = static_cast<unsigned char>(data.front());
      data.remove_prefix(1);
      if (header_size_ == 2) {
        const unsigned length = header_[1];
        if (length & 0x80) fail("a masked frame");
        header_needed_ = length == 126 ? 4 : length == 127 ? 10 : 2;
      }
      if (header_size_ < header_needed_) continue;
      begin_frame();
    }
    const std::string_view part = data.substr(0, left_);
    take_payload(part);
    data.remove_prefix(part.size());
    left_ -= part.size();
    if (left_ == 0) end_frame();
  }
}

void Connection::begin_frame() {
  left_ = header_[1];
  if (header_needed_ > 2) {
    left_ = 0;
    for (std::size_t i = 2; i < header_needed_; ++i) left_ = left_ << 8 | header_[i];
  }
  const unsigned opcode = header_[0] & 0x0f;
  if (opcode == kClose) fail("closed by the server under load");
  if (opcode == kPing || opcode == kPong) return;
  if (in_message_ != (opcode == kContinuation)) fail("frames out of order");
  if (!in_message_) {
    if (opcode != (options_.binary ? kBinary : kText)) fail("a message of another kind");
    in_message_ = true;
    compressed_ = header_[0] & 0x40;
    matched_ = 0;
  }
}

void Connection::take_payload(std::string_view part) {
  const unsigned opcode = header_[0] & 0x0f;
  if (opcode == kPing) {
    ping_ += part;
  } else if (opcode != kPong) {
    compressed_ ? inflate_part(part) : check(part);
  }
}

void Connection::inflate_part(std::string_view part) {
  unsigned char plain[16 * 1024];
  inflater_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(part.data()));
  inflater_.avail_in = static_cast<uInt>(part.size());
  do {
    inflater_.next_out = plain;
    inflater_.avail_out = sizeof(plain);
    const int result = inflate(&inflater_, Z_SYNC_FLUSH);
    if (result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END) fail("bad deflated data");
    check({reinterpret_cast<const char*>(plain), sizeof(plain) - inflater_.avail_out});
    if (result == Z_STREAM_END) inflateReset(&inflater_);
  } while (inflater_.avail_in > 0 || inflater_.avail_out == 0);
}

void Connection::check(std::string_view part) {
  if (part.size() > expected_.size() - matched_ ||
      std::memcmp(part.data(), expected_.data() + matched_, part.size()) != 0)
    fail("a message differs from what was sent");
  matched_ += part.size();
}

void Connection::end_frame() {
  const unsigned opcode = header_[0] & 0x0f;
  header_size_ = 0;
  header_needed_ = 2;
  if (opcode == kPing) {
    control_ += masked_frame(0x80 | kPong, ping_);
    ping_.clear();
    flush();
  }
  if (opcode >= kClose || !(header_[0] & 0x80)) return;
  if (compressed_) inflate_part(std::string_view("\0\0\xff\xff", 4));
  if (matched_ != expected_.size()) fail("a message is shorter than what was sent");
  in_message_ = false;
  ++received_;
}

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options), messages_(make_messages(options)), buffer_(256 * 1024) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    for (std::size_t i = 0; i < options.connections; ++i) {
      Connection& connection = connections_.emplace_back(options, i);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = i;
      epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd(), &event);
    }
    awaited_.resize(options.connections);
    writing_.resize(options.connections);
    begun_.resize(options.connections);
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() { close(epoll_); }

  // Ends after the seconds, with the first moment when nothing is awaited.
  void run(double seconds);

 private:
  void send_from(std::size_t index);
  void read_from(std::size_t index);
  void watch(std::size_t index);
  std::uint32_t percentile(std::size_t per_hundred);

  const Options& options_;
  const bool timed_ = !options_.fanout && options_.copies == 1;
  const std::vector<Message> messages_;
  int epoll_;
  std::deque<Connection> connections_;  // does not move them
  std::vector<char> buffer_;
  std::vector<std::size_t> awaited_;      // messages, by connection
  std::vector<bool> writing_;             // whether the poller waits for room
  std::vector<Clock::time_point> begun_;  // when its message was sent, by connection
  std::vector<std::uint32_t> took_us_;    // round trips of one message
  std::size_t busy_ = 0;                  // connections that await any
  std::size_t sender_ = 0;                // of the next round, in a fan-out
  std::uint64_t received_ = 0;
  bool over_ = false;
};

void Load::run(double seconds) {
  received_ = 0;
  took_us_.clear();
  over_ = false;
  const Clock::time_point begin = Clock::now();
  const auto end = begin + std::chrono::duration<double>(seconds);
  if (options_.fanout) {
    send_from(sender_);
  } else {
    for (std::size_t i = 0; i < connections_.size(); ++i) send_from(i);
  }
  epoll_event events[256];
  while (busy_ > 0) {
    const int count = epoll_wait(epoll_, events, 256, kPatience);
    if (count == 0) fail("no progress for 10 s");
    over_ = Clock::now() >= end;
    for (int i = 0; i < count; ++i) {
      const std::size_t index = events[i].data.u64;
      if (events[i].events & EPOLLOUT) connections_[index].flush();
      if (events[i].events & ~static_cast<unsigned>(EPOLLOUT)) read_from(index);
      watch(index);
    }
    if (options_.fanout && busy_ == 0 && !over_) send_from(++sender_ % connections_.size());
  }
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
  std::printf("{\"messages\": %llu, \"duration_us\": %lld", static_cast<unsigned long long>(received_),
              static_cast<long long>(took.count()));
  if (timed_) std::printf(", \"p50_us\": %u, \"p99_us\": %u", percentile(50), percentile(99));
  std::printf("}\n");
  std::fflush(stdout);
}

std::uint32_t Load::percentile(std::size_t per_hundred) {
  const auto at = took_us_.begin() + static_cast<std::ptrdiff_t>((took_us_.size() - 1) * per_hundred / 100);
  std::nth_element(took_us_.begin(), at, took_us_.end());
  return *at;
}

void Load::send_from(std::size_t index) {
  const Message& message = connections_[index].next(messages_);
  const std::size_t first = options_.fanout ? 0 : index;
  const std::size_t last = options_.fanout ? connections_.size() : index + 1;
  for (std::size_t i = first; i < last; ++i) {
    connections_[i].expect(message);
    awaited_[i] = options_.copies;
  }
  busy_ += last - first;
  if (timed_) begun_[index] = Clock::now();
  connections_[index].write(message.frame);
  watch(index);
}

void Load::read_from(std::size_t index) {
  Connection& connection = connections_[index];
  const ssize_t size = recv(connection.fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) fail("the server ended a connection under load");
  connection.receive({buffer_.data(), static_cast<std::size_t>(size)});
  const std::size_t received = connection.take_received();
  if (received == 0) return;
  if (received > awaited_[index]) fail("more messages than were to come");
  received_ += received;
  awaited_[index] -= received;
  if (awaited_[index] > 0) return;
  if (timed_) {
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun_[index]);
    took_us_.push_back(static_cast<std::uint32_t>(took.count()));
  }
  --busy_;
  if (!options_.fanout && !over_) send_from(index);
}

void Load::watch(std::size_t index) {
  Connection& connection = connections_[index];
  if (writing_[index] == connection.wants_to_write()) return;
  writing_[index] = connection.wants_to_write();
  epoll_event event{};
  event.events = EPOLLIN;
  if (writing_[index]) event.events |= EPOLLOUT;
  event.data.u64 = index;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd(), &event);
}

Options parse(int argc, char** argv) {
  const auto is_one_of = [](std::string_view word, std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  if (argc < 6 || argc > 7 || !is_one_of(argv[4], {"text", "json", "binary", "deflate"}) ||
      !is_one_of(argv[5], {"echo", "fanout"}))
    fail("usage: PORT CONNECTIONS SIZE text|json|binary|deflate echo|fanout [COPIES]");
  Options options{};
  options.port = std::atoi(argv[1]);
  options.connections = std::strtoul(argv[2], nullptr, 10);
  options.size = std::strtoul(argv[3], nullptr, 10);
  options.binary = std::string_view(argv[4]) == "binary";
  options.deflate = std::string_view(argv[4]) == "deflate";
  options.json = std::string_view(argv[4]) == "json";
  options.fanout = std::string_view(argv[5]) == "fanout";
  options.copies = argc == 7 ? std::strtoul(argv[6], nullptr, 10) : 1;
  if (options.connections == 0 || options.copies == 0) fail("at least one connection and one copy");
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  Load load(options);
  std::puts("ready");
  std::fflush(stdout);
  char line[32];
  while (std::fgets(line, sizeof(line), stdin)) load.run(std::atof(line));
}
