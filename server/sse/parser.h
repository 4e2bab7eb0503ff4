// For tests and the fuzz target: an event stream read back as a client does, written from WHATWG HTML 9.2.6
// alone, a byte at a time, and sharing nothing with the encoder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fasterapi::sse {

struct ParsedEvent {
  std::string data;
  std::string type;  // empty: "message"
  std::string last_event_id;
  bool operator==(const ParsedEvent&) const = default;
};

class Parser {
 public:
  // Interprets a whole stream.
  void parse(std::string_view stream) {
    for (std::size_t i = 0; i < stream.size(); ++i) {
      if (stream[i] != '\r' && stream[i] != '\n') {
        line_.push_back(stream[i]);
        continue;
      }
      if (stream[i] == '\r' && i + 1 < stream.size() && stream[i + 1] == '\n') ++i;
      take_line();
      line_.clear();
    }
  }

  // What was dispatched, in order.
  std::vector<ParsedEvent> events;
  std::vector<std::string> comments;
  std::optional<std::uint64_t> retry;
  std::string last_event_id;
  std::size_t unknown_fields = 0;
  // Bytes behind the last line end: "discarded", by the standard.
  const std::string& rest() const { return line_; }

 private:
  void take_line() {
    if (line_.empty()) return dispatch();
    const std::size_t colon = line_.find(':');
    std::string field = line_.substr(0, colon);
    std::string value = colon == std::string::npos ? std::string() : line_.substr(colon + 1);
    if (!value.empty() && value.front() == ' ') value.erase(0, 1);
    if (colon == 0) {
      comments.push_back(value);
    } else if (field == "event") {
      type_ = value;
    } else if (field == "data") {
      data_ += value + "\n";
    } else if (field == "id") {
      if (value.find('\0') == std::string::npos) id_ = value;
    } else if (field == "retry") {
      if (value.find_first_not_of("0123456789") == std::string::npos) retry = std::stoull(value);
    } else {
      ++unknown_fields;
    }
  }

  void dispatch() {
    last_event_id = id_;
    if (!data_.empty()) {
      data_.pop_back();
      events.push_back({data_, type_, last_event_id});
    }
    data_.clear();
    type_.clear();
  }

  std::string line_;
  std::string data_;
  std::string type_;
  std::string id_;
};

}  // namespace fasterapi::sse
