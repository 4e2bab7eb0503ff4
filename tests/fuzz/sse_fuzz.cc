// The event stream's encoder: whatever fields it is given come out of an independent parser as they went in,
// and what it refuses is what such a parser could not give back. The first byte says which fields there are;
// they are cut from the rest at bytes 0xff, which UTF-8 has not.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "server/sse/encoder.h"
#include "server/sse/parser.h"

namespace {

using namespace fasterapi;

[[noreturn]] void fail(const char* what, const std::string& out) {
  std::fprintf(stderr, "%s:\n%s\n", what, out.c_str());
  std::abort();
}

std::string_view cut(std::string_view& rest) {
  const std::size_t end = std::min(rest.find('\xff'), rest.size());
  const std::string_view field = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return field;
}

// CR LF, CR and LF as one LF: the lines of a text are all that a stream keeps of it.
std::string with_feeds(std::string_view text) {
  std::string lines;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && i > 0 && text[i - 1] == '\r') continue;
    lines.push_back(text[i] == '\r' ? '\n' : text[i]);
  }
  return lines;
}

bool fits_a_line(std::string_view text) { return text.find_first_of("\r\n") == std::string_view::npos; }

void check_event(const sse::Event& event) {
  std::string out;
  const bool allowed =
      (!event.name || fits_a_line(*event.name)) &&
      (!event.id || (fits_a_line(*event.id) && event.id->find('\0') == std::string_view::npos));
  if (static_cast<bool>(sse::append_event(event, out)) != allowed)
    fail("wrongly refused, or not refused", out);
  if (!allowed) {
    if (!out.empty()) fail("written although refused", out);
    return;
  }
  sse::Parser parser;
  // Twice, so that the second is seen to begin behind the first.
  parser.parse(out + out);
  const std::size_t expected = event.data ? 2 : 0;
  if (parser.events.size() != expected || !parser.comments.empty() || parser.unknown_fields != 0) {
    fail("other fields than were given", out);
  }
  const sse::ParsedEvent same{with_feeds(event.data.value_or("")), std::string(event.name.value_or("")),
                              std::string(event.id.value_or(""))};
  for (const sse::ParsedEvent& parsed : parser.events) {
    if (parsed != same) fail("a field has changed", out);
  }
  if (parser.last_event_id != event.id.value_or("") || parser.retry != event.retry ||
      !parser.rest().empty()) {
    fail("id, retry or end has changed", out);
  }
}

void check_comment(std::string_view text) {
  std::string out;
  sse::append_comment(text, out);
  sse::Parser parser;
  parser.parse(out);
  std::string lines;
  for (const std::string& line : parser.comments) lines.append(line).push_back('\n');
  if (lines != with_feeds(text) + "\n" || !parser.events.empty() || parser.retry || !parser.rest().empty()) {
    fail("the comment has changed", out);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  sse::Event event;
  if ((data[0] & 1) != 0) event.name = cut(rest);
  if ((data[0] & 2) != 0) event.id = cut(rest);
  if ((data[0] & 4) != 0 && rest.size() >= sizeof(std::uint64_t)) {
    std::uint64_t retry = 0;
    std::memcpy(&retry, rest.data(), sizeof retry);
    rest.remove_prefix(sizeof retry);
    event.retry = retry;
  }
  if ((data[0] & 8) != 0) event.data = rest;
  check_event(event);
  check_comment(rest);
  return 0;
}
