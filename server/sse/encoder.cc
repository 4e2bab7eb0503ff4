#include "server/sse/encoder.h"

#include <algorithm>
#include <cstring>

#include "server/base/bytes.h"

namespace fasterapi::sse {

namespace {

using base::Failure;
using base::Result;

std::size_t find(std::string_view text, char c, std::size_t from) {
  if (from >= text.size()) return text.size();
  const void* found = std::memchr(text.data() + from, c, text.size() - from);
  return found == nullptr ? text.size()
                          : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

bool has(std::string_view text, char c) { return find(text, c, 0) < text.size(); }

bool has_line_end(std::string_view text) { return has(text, '\n') || has(text, '\r'); }

void append_line(std::string_view prefix, std::string_view value, std::string& out) {
  out.append(prefix);
  out.append(value);
  out.push_back('\n');
}

// 9.2.5: end-of-line = ( cr lf / cr / lf )
void append_lines(std::string_view prefix, std::string_view text, std::string& out) {
  std::size_t begin = 0;
  std::size_t feed = find(text, '\n', 0);
  std::size_t carriage_return = find(text, '\r', 0);
  for (;;) {
    const std::size_t end = std::min(feed, carriage_return);
    append_line(prefix, text.substr(begin, end - begin), out);
    if (end == text.size()) return;
    begin = end + 1;
    if (end == carriage_return) {
      if (begin < text.size() && text[begin] == '\n') ++begin;
      carriage_return = find(text, '\r', begin);
    }
    if (feed < begin) feed = find(text, '\n', begin);
  }
}

}  // namespace

Result<void> append_event(const Event& event, std::string& out) {
  if (event.name && has_line_end(*event.name)) return Failure{500, "the event's name has a line end"};
  // 9.2.6: an id with NUL is ignored, so that the client would reconnect with the one before.
  if (event.id && (has_line_end(*event.id) || has(*event.id, '\0'))) {
    return Failure{500, "the event's id has a line end or NUL"};
  }
  if (event.name) append_line("event: ", *event.name, out);
  if (event.id) append_line("id: ", *event.id, out);
  if (event.retry) {
    out.append("retry: ");
    base::append_decimal(out, *event.retry);
    out.push_back('\n');
  }
  if (event.data) append_lines("data: ", *event.data, out);
  out.push_back('\n');
  return {};
}

void append_comment(std::string_view text, std::string& out) { append_lines(": ", text, out); }

}  // namespace fasterapi::sse
