// For tests and the fuzz target: everything a codec says about an input, as text, with each
// request answered when it is complete. Adjacent body events are one line, since how they were
// cut follows from how the input was.
//
//   head GET /path 1.1
//     name: value
//   length 5                       (the announced length, or "chunked"; absent without a body)
//   expects-continue
//   body <bytes>
//   end
//   fail 400
//   close                          (the connection ended after the answer)
#pragma once

#include <string>
#include <string_view>

#include "server/http1/codec.h"

namespace fasterapi::http1 {

class Transcript {
 public:
  explicit Transcript(const base::Settings& settings) : codec_(settings) {}

  void feed(std::string_view bytes) {
    if (closed_) return;
    take(codec_.receive(bytes));
    while (codec_.request_complete() && !closed_) {
      answer();
      if (codec_.wants_close()) {
        closed_ = true;
        text_ += "close\n";
        return;
      }
      codec_.resume();
      if (!codec_.has_rest()) return;
      take(codec_.receive({}));
    }
  }

  const std::string& text() {
    end_body();
    return text_;
  }
  Codec& codec() { return codec_; }

 private:
  void take(std::span<const Event> events) {
    for (const Event& event : events) {
      if (event.kind != EventKind::kBody) end_body();
      switch (event.kind) {
        case EventKind::kHead:
          take_head(codec_.head());
          break;
        case EventKind::kBody:
          if (event.body.empty()) text_ += "empty body event\n";
          body_.append(event.body);
          break;
        case EventKind::kEnd:
          text_ += "end\n";
          break;
        case EventKind::kFailure:
          text_ += "fail " + std::to_string(codec_.failure().status) + "\n";
          break;
      }
    }
  }

  void take_head(const base::RequestHead& head) {
    text_.append("head ").append(head.method).append(" ").append(head.target);
    text_ += " " + std::to_string(head.version.major) + "." + std::to_string(head.version.minor) + "\n";
    for (const base::Header& header : head.headers) {
      text_.append("  ").append(header.name).append(": ").append(header.value).append("\n");
    }
    if (head.content_length) {
      text_ += "length " + std::to_string(*head.content_length) + "\n";
    } else if (head.has_body) {
      text_ += "chunked\n";
    }
    if (head.expects_continue) text_ += "expects-continue\n";
  }

  void end_body() {
    if (body_.empty()) return;
    text_.append("body ").append(body_).append("\n");
    body_.clear();
  }

  void answer() {
    base::Header headers[] = {{"content-length", "2"}};
    bool sent = static_cast<bool>(codec_.send_head({200, headers}, {})) &&
                static_cast<bool>(codec_.send_body(std::string_view("ok"), base::Last::kYes));
    if (!sent) text_ += "the answer was refused\n";
  }

  Codec codec_;
  std::string text_;
  std::string body_;
  bool closed_ = false;
};

// The transcript of `input` cut into pieces of at most `piece` bytes.
inline std::string transcript(std::string_view input, std::size_t piece,
                              const base::Settings& settings = {}) {
  Transcript made(settings);
  for (std::size_t at = 0; at < input.size(); at += piece) {
    // A copy of exactly these bytes, so that the address sanitizer sees a read beyond them.
    made.feed(std::string(input.substr(at, piece)));
  }
  return made.text();
}

}  // namespace fasterapi::http1
