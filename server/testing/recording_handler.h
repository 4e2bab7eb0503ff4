// A connection::Handler that writes down what it is told of each request, and answers when and how
// the test says.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/connection/exchange.h"
#include "server/connection/handler.h"

namespace fasterapi::testing {

// One request: what came of it, and the test's means to answer.
class RecordedExchange final : public connection::ExchangeSink {
 public:
  RecordedExchange(connection::Exchange& exchange, const base::RequestHead& head)
      : exchange_(&exchange), method(head.method), target(head.target), version(head.version) {
    for (const base::Header& header : head.headers) headers.emplace_back(header.name, header.value);
    exchange.attach(*this);
  }

  void on_body(std::string_view bytes) override {
    EXPECT_FALSE(bytes.empty());
    EXPECT_TRUE(alive() && !ended);
    body.append(bytes);
    if (takes_body) exchange_->body_taken(bytes.size());
  }
  void on_body_end() override {
    EXPECT_TRUE(alive() && !ended);
    ended = true;
  }
  void on_writable() override {
    EXPECT_TRUE(alive());
    EXPECT_TRUE(exchange_->writable());
    ++writables;
    if (when_writable) when_writable();
  }
  void on_disconnect() override {
    EXPECT_TRUE(alive());
    ++disconnects;
  }
  void on_drain() override {
    EXPECT_TRUE(alive() && exchange_->draining());
    ++drains;
  }
  void on_cut() override {
    EXPECT_TRUE(alive()) << "cut after the link had ended";
    exchange_ = nullptr;
    ++cuts;
    if (when_cut) when_cut();
  }

  bool alive() const { return exchange_ != nullptr; }
  connection::Exchange& exchange() { return *exchange_; }

  base::Result<void> start(int status, std::vector<base::Header> fields = {}) {
    return exchange_->start({status, fields});
  }
  // A head that announces trailers; then send() with Last::kYes ends the body alone.
  base::Result<void> start_with_trailers(std::vector<base::Header> fields = {}) {
    trailers_due_ = true;
    return exchange_->start({200, fields, true});
  }
  // string_view or Slice.
  template <class Bytes>
  base::Result<void> send(Bytes bytes, base::Last last) {
    base::Result<void> result = exchange_->body(std::move(bytes), last);
    if (result && last == base::Last::kYes && !trailers_due_) exchange_ = nullptr;
    return result;
  }
  base::Result<void> send_trailers(std::vector<base::Header> fields, base::Last last) {
    base::Result<void> result = exchange_->trailers(fields, last);
    if (result && last == base::Last::kYes) exchange_ = nullptr;
    return result;
  }
  // A whole answer with its content-length.
  void answer(std::string_view text, int status = 200) {
    std::string length = std::to_string(text.size());
    ASSERT_TRUE(start(status, {{"content-length", length}}));
    ASSERT_TRUE(send(text, base::Last::kYes));
  }
  // Opens the WebSocket that was asked for.
  base::Result<connection::WebSocket*> accept(const connection::Acceptance& acceptance,
                                              connection::WebSocketSink& sink) {
    auto opened = exchange_->accept(acceptance, sink);
    if (opened) exchange_ = nullptr;
    return opened;
  }
  void take(std::size_t count) { exchange_->body_taken(count); }
  void detach() { std::exchange(exchange_, nullptr)->detach(); }

 private:
  connection::Exchange* exchange_;  // null once the link is cut, by whomever
  bool trailers_due_ = false;

 public:
  std::string method;
  std::string target;
  base::Version version;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool ended = false;      // the body's end has come
  bool takes_body = true;  // body bytes are taken as they come
  int writables = 0;
  int disconnects = 0;
  int drains = 0;
  int cuts = 0;
  std::function<void()> when_writable;
  std::function<void()> when_cut;
};

class RecordingHandler final : public connection::Handler {
 public:
  void on_exchange(connection::Exchange& exchange, const base::RequestHead& head) override {
    exchanges_.push_back(std::make_unique<RecordedExchange>(exchange, head));
    if (on_request) on_request(*exchanges_.back());
  }

  std::size_t in_hand() const override { return busy; }

  std::size_t busy = 0;  // what in_hand() says
  // Called inside on_exchange; without it requests wait for the test.
  std::function<void(RecordedExchange&)> on_request;

  std::size_t size() const { return exchanges_.size(); }
  RecordedExchange& operator[](std::size_t index) { return *exchanges_.at(index); }
  RecordedExchange& last() { return *exchanges_.back(); }

 private:
  std::vector<std::unique_ptr<RecordedExchange>> exchanges_;
};

}  // namespace fasterapi::testing
