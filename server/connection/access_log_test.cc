#include "server/connection/access_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/net/timer.h"
#include "server/testing/connection_fixture.h"

namespace fasterapi::connection {
namespace {

using net::Address;

class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe2(fds_.data(), O_NONBLOCK), 0); }
  ~Pipe() {
    close_reader();
    ::close(fds_[1]);
  }
  int writer() const { return fds_[1]; }
  std::string read() const {
    std::string text(1 << 17, '\0');
    ssize_t count = ::read(fds_[0], text.data(), text.size());
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
  }
  void close_reader() {
    if (fds_[0] >= 0) ::close(std::exchange(fds_[0], -1));
  }

 private:
  std::array<int, 2> fds_{};
};

class AccessLogTest : public ::testing::Test {
 protected:
  AccessLogTest() { alive_.arm(std::chrono::hours(1)); }

  void record(AccessLog& log, std::string_view target, int status = 200) {
    base::RequestHead head;
    head.method = "GET";
    head.target = target;
    log.record(peer, head, status);
  }
  void turn() { loop.run(net::RunMode::kNoWait); }

  base::Ledger ledger;
  net::Loop loop{{}, ledger};
  net::Deadline alive_{loop.wheel(), [](void*) {}, nullptr};
  Address peer{Address::Family::kInet, "192.0.2.1", 4711};
  Pipe pipe;
};

TEST_F(AccessLogTest, WritesUvicornsLineAtTheEndOfTheTurn) {
  AccessLog log(loop, pipe.writer(), "");
  record(log, "/items?q=1");
  EXPECT_EQ(pipe.read(), "");
  turn();
  EXPECT_EQ(pipe.read(), "INFO:     192.0.2.1:4711 - \"GET /items?q=1 HTTP/1.1\" 200 OK\n");
}

TEST_F(AccessLogTest, WritesTheLinesOfATurnTogether) {
  AccessLog log(loop, pipe.writer(), "");
  record(log, "/1");
  record(log, "/2", 404);
  turn();
  EXPECT_EQ(pipe.read(),
            "INFO:     192.0.2.1:4711 - \"GET /1 HTTP/1.1\" 200 OK\n"
            "INFO:     192.0.2.1:4711 - \"GET /2 HTTP/1.1\" 404 Not Found\n");
  record(log, "/3");
  turn();
  EXPECT_EQ(pipe.read(), "INFO:     192.0.2.1:4711 - \"GET /3 HTTP/1.1\" 200 OK\n");
}

TEST_F(AccessLogTest, WritesWhatEachRequestIs) {
  AccessLog log(loop, pipe.writer(), "/api");
  base::RequestHead head;
  head.method = "OPTIONS";
  head.target = "*";
  head.version = {1, 0};
  log.record({Address::Family::kUnix, "/run/a.sock", 0}, head, 299);  // no registered phrase
  log.record({Address::Family::kInet, "2001:db8::1", 80}, head, 204);
  turn();
  EXPECT_EQ(pipe.read(),
            "INFO:      - \"OPTIONS /api* HTTP/1.0\" 299 \n"
            "INFO:     2001:db8::1:80 - \"OPTIONS /api* HTTP/1.0\" 204 No Content\n");
}

TEST_F(AccessLogTest, NoClientCanForgeALine) {
  AccessLog log(loop, pipe.writer(), "");
  record(log, "/\"\\\n\x1b[2J\x7f\x80\xff\x9b");
  record(log, std::string_view("/\0x", 3));
  turn();
  EXPECT_EQ(
      pipe.read(),
      "INFO:     192.0.2.1:4711 - \"GET /\\x22\\x5c\\x0a\\x1b[2J\\x7f\\x80\\xff\\x9b HTTP/1.1\" 200 OK\n"
      "INFO:     192.0.2.1:4711 - \"GET /\\x00x HTTP/1.1\" 200 OK\n");
}

TEST_F(AccessLogTest, WritesWhatIsLeftWhenItEnds) {
  auto log = std::make_unique<AccessLog>(loop, pipe.writer(), "");
  record(*log, "/last");
  log.reset();
  EXPECT_EQ(pipe.read(), "INFO:     192.0.2.1:4711 - \"GET /last HTTP/1.1\" 200 OK\n");
  turn();
  EXPECT_EQ(pipe.read(), "");
}

TEST_F(AccessLogTest, CallsBackAtOnce) {
  struct Call {
    std::string client, method, target;
    base::Version version;
    int status;
  };
  std::vector<Call> calls;
  AccessLog log(
      loop,
      [&](const AccessRecord& record) {
        calls.push_back({std::string(record.client), std::string(record.method), std::string(record.target),
                         record.version, record.status});
      },
      "/api");
  record(log, "/a\n", 404);
  peer = {};
  record(log, "/b");
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].client, "192.0.2.1:4711");
  EXPECT_EQ(calls[0].method, "GET");
  EXPECT_EQ(calls[0].target, "/api/a\\x0a");
  EXPECT_EQ(calls[0].version.minor, 1);
  EXPECT_EQ(calls[0].status, 404);
  EXPECT_EQ(calls[1].client, "");
  turn();
}

// --- A descriptor that takes nothing ---------------------------------------------------------

TEST_F(AccessLogTest, AClosedDescriptorCostsOnlyTheLines) {
  AccessLog log(loop, -1, "");
  for (int i = 0; i < 3; ++i) {
    record(log, "/lost");
    turn();
  }
}

TEST_F(AccessLogTest, AFullDiskCostsOnlyTheLines) {
  int full = ::open("/dev/full", O_WRONLY);
  if (full < 0) GTEST_SKIP() << "no /dev/full here";
  {
    AccessLog log(loop, full, "");
    record(log, "/lost");
    turn();
  }
  ::close(full);
}

// CPython ignores the signal from its start; that is what this room relies on.
TEST_F(AccessLogTest, AClosedPipeCostsOnlyTheLines) {
  auto before = std::signal(SIGPIPE, SIG_IGN);
  AccessLog log(loop, pipe.writer(), "");
  pipe.close_reader();
  record(log, "/lost");
  turn();
  std::signal(SIGPIPE, before);
}

TEST_F(AccessLogTest, AStuckPipeCostsOnlyItsLines) {
  AccessLog log(loop, pipe.writer(), "");
  for (int i = 0; i < 2000; ++i) {
    record(log, "/0123456789012345678901234567890123456789012345678901234567890123456789");
    if (i % 50 == 0) turn();
  }
  turn();
  std::string text;
  for (std::string piece = pipe.read(); !piece.empty(); piece = pipe.read()) text += piece;
  auto taken = std::count(text.begin(), text.end(), '\n');
  EXPECT_GT(taken, 0);
  EXPECT_EQ(text.size() % static_cast<std::size_t>(taken), 0u);  // all lines are alike: none is torn
  record(log, "/after");
  turn();
  EXPECT_EQ(pipe.read(), "WARNING:  " + std::to_string(2000 - taken) +
                             " access log lines were dropped\n"
                             "INFO:     192.0.2.1:4711 - \"GET /after HTTP/1.1\" 200 OK\n");
}

// --- From a connection -----------------------------------------------------------------------

class AccessLogOfConnectionTest : public testing::ConnectionFixture {};

TEST_F(AccessLogOfConnectionTest, EachAnswerHasOneLine) {
  Pipe pipe;
  access_log = std::make_unique<AccessLog>(loop, pipe.writer(), "");
  handler.on_request = [](testing::RecordedExchange& exchange) { exchange.answer("x", 201); };
  testing::FakePeer& peer = connect();
  peer.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nb");
  handler.on_request = [](testing::RecordedExchange& exchange) { exchange.detach(); };
  peer.send("GET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
  turn();
  EXPECT_EQ(pipe.read(),
            "INFO:     192.0.2.1:4711 - \"GET /1 HTTP/1.1\" 201 Created\n"
            "INFO:     192.0.2.1:4711 - \"POST /2 HTTP/1.1\" 201 Created\n");
}

}  // namespace
}  // namespace fasterapi::connection
