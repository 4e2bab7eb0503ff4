// What every test of a connection needs: a loop that is never waited on, a server, fake peers.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/ledger.h"
#include "server/base/log.h"
#include "server/base/settings.h"
#include "server/connection/server.h"
#include "server/net/loop.h"
#include "server/net/timer.h"
#include "server/testing/fake_clock.h"
#include "server/testing/fake_stream.h"
#include "server/testing/recording_handler.h"

namespace fasterapi::testing {

class ConnectionFixture : public ::testing::Test {
 protected:
  static constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
  static constexpr std::string_view kGetB = "GET /b HTTP/1.1\r\nHost: h\r\n\r\n";

  ConnectionFixture() {
    settings.date_header = false;  // so that tests can name every byte of an answer
    settings.server.clear();
  }

  void TearDown() override {
    server_.reset();
    turn();
    for (base::Kind kind : {base::Kind::kServer, base::Kind::kConnection}) EXPECT_EQ(ledger.count(kind), 0u);
    for (std::size_t i = 0; i < handler.size(); ++i) EXPECT_FALSE(handler[i].alive()) << "request " << i;
  }

  // Made by its first use: settings and access_log are set before.
  connection::Server& server() {
    if (server_ == nullptr) {
      server_ = std::make_unique<connection::Server>(loop, settings, handler, log, std::move(access_log),
                                                     [this] { ++changes; });
    }
    return *server_;
  }

  FakePeer& connect(Feed feed = Feed::kWhole) {
    peers_.push_back(std::make_unique<FakePeer>());
    peers_.back()->feed = feed;
    peers_.back()->in_turn = [this](const std::function<void()>& read) { run_in_turn(read); };
    server().serve(peers_.back()->stream());
    return *peers_.back();
  }

  void run_in_turn(const std::function<void()>& work) {
    if (loop.in_turn()) return work();
    net::Deferred deferred = {[](void* self) { (*static_cast<const std::function<void()>*>(self))(); },
                              const_cast<std::function<void()>*>(&work)};
    loop.at_next_turn(deferred);
    turn();
  }

  // Work that was put off is done; nothing is waited for.
  void turn() { loop.run(net::RunMode::kNoWait); }

  // Turns until it is so, for what sockets bring; false if that takes very many.
  template <class Condition>
  bool until(Condition condition) {
    for (int i = 0; i < 200'000; ++i) {
      if (condition()) return true;
      turn();
    }
    return false;
  }

  void answer_with_target() {
    handler.on_request = [](RecordedExchange& exchange) { exchange.answer(exchange.target); };
  }

  static std::string ok(std::string_view body) {
    return "HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" +
           std::string(body);
  }
  static std::string ok_and_close(std::string_view body) {
    return "HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(body.size()) +
           "\r\nconnection: close\r\n\r\n" + std::string(body);
  }
  static std::string error(int status, std::string_view phrase) {
    return "HTTP/1.1 " + std::to_string(status) + " " + std::string(phrase) +
           "\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: " + std::to_string(phrase.size()) +
           "\r\nconnection: close\r\n\r\n" + std::string(phrase);
  }

  base::Ledger ledger;
  net::Loop loop{{}, ledger};
  FakeClock clock{loop};
  base::Settings settings;
  RecordingHandler handler;
  std::vector<std::string> logged;
  base::Log log{base::LogLevel::kTrace,
                [this](base::LogLevel, std::string_view message) { logged.emplace_back(message); }};
  std::unique_ptr<connection::AccessLog> access_log;
  int changes = 0;

 private:
  std::vector<std::unique_ptr<FakePeer>> peers_;
  std::unique_ptr<connection::Server> server_;
};

}  // namespace fasterapi::testing
