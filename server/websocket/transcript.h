// For tests and the fuzz target: everything a codec says about an input, as text.
//
//   text <payload>      binary <payload>
//   ping <payload>      pong <payload>
//   close <code> <reason>
//   fail <code>
//   sent <bytes>                    (what the codec wrote by itself, in all)
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "server/websocket/codec.h"

namespace fasterapi::websocket {

// Memory of a receiver; that of its next size is another place, as realloc() may give.
class StringBuffer final : public MessageBuffer {
 public:
  StringBuffer(const bool& fails, std::size_t& most) : fails_(fails), most_(most) {}
  char* resize(std::size_t size) override {
    if (fails_) return nullptr;
    most_ = std::max(most_, size);
    std::string grown(bytes, 0, size);
    grown.resize(size);
    bytes.swap(grown);
    return bytes.data();
  }
  std::string bytes;

 private:
  const bool& fails_;
  std::size_t& most_;
};

class StringBuffers final : public MessageBuffers {
 public:
  std::unique_ptr<MessageBuffer> make() override { return std::make_unique<StringBuffer>(fails, most); }
  bool fails = false;
  std::size_t most = 0;  // that was asked for
};

class Transcript {
 public:
  explicit Transcript(const base::WebSocketSettings& settings,
                      std::unique_ptr<MessageDeflate> deflate = nullptr)
      : codec_(settings, workspace_, std::move(deflate), &buffers_) {}

  // As many messages a call as asked for; what is left is interpreted by further calls.
  void feed(std::string_view bytes, std::size_t max_messages = 32) {
    take(codec_.receive(bytes, max_messages));
    while (codec_.has_rest()) take(codec_.receive({}, max_messages));
  }

  const std::string& events() const { return events_; }
  std::string text() { return events_ + "sent " + codec_.output().to_string() + "\n"; }
  Codec& codec() { return codec_; }

 private:
  void take(std::span<const Event> events) {
    for (const Event& event : events) {
      events_.append(name_of(event));
      if (event.code != 0) events_.append(" ").append(std::to_string(event.code));
      if (event.in_place) {
        auto buffer = codec_.take_buffer();
        events_.append(" ").append(static_cast<StringBuffer&>(*buffer).bytes);
      } else if (event.kind != EventKind::kFailure)
        events_.append(" ").append(event.payload);
      events_.append("\n");
    }
    codec_.handled();
  }

  static std::string_view name_of(const Event& event) {
    switch (event.kind) {
      case EventKind::kMessage:
        return event.message == MessageKind::kText ? "text" : "binary";
      case EventKind::kPing:
        return "ping";
      case EventKind::kPong:
        return "pong";
      case EventKind::kClose:
        return "close";
      case EventKind::kFailure:
        return "fail";
    }
    return "";
  }

  Workspace workspace_;
  StringBuffers buffers_;
  Codec codec_;
  std::string events_;
};

}  // namespace fasterapi::websocket
