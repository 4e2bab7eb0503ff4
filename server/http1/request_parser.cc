#include "server/http1/request_parser.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "server/base/bytes.h"
#include "server/base/uri.h"
#include "server/http1/head_rules.h"
#include "server/http1/request_line.h"

namespace fasterapi::http1 {

namespace {

// RFC 9112 2.2 asks for at least one empty line before a request to be ignored; more than a few
// are no client's habit.
constexpr unsigned kMaxEmptyLines = 4;
// The longest registered method has 17 characters (RFC 9112 3: longer ones may be answered 501).
constexpr std::size_t kMaxMethod = 64;
// Memory kept for the next request while one follows at once, and while the connection is idle.
constexpr std::size_t kKeptBusy = 4096;
constexpr std::size_t kKeptIdle = 256;
// Most heads fit; a larger one grows.
constexpr std::size_t kFirstArena = 1024;

template <class Container>
void empty_and_keep(Container& container, std::size_t bytes) {
  if (container.capacity() * sizeof(typename Container::value_type) > bytes) {
    Container().swap(container);
  } else {
    container.clear();
  }
}

void append_lower(std::string& out, std::string_view text) {
  std::size_t at = out.size();
  out.append(text);
  for (char* c = out.data() + at; c != out.data() + out.size(); ++c) {
    *c = static_cast<char>(*c + (static_cast<unsigned char>(*c - 'A') < 26 ? 0x20 : 0));
  }
}

// Calls a member function from llhttp's C callback. Nothing may be thrown through C.
template <auto kMethod>
int call(llhttp_t* parser) noexcept {
  return (static_cast<RequestParser*>(parser->data)->*kMethod)();
}

template <auto kMethod>
int call(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  return (static_cast<RequestParser*>(parser->data)->*kMethod)({at, size});
}

}  // namespace

constinit const llhttp_settings_t RequestParser::kCallbacks = [] {
  llhttp_settings_t callbacks{};
  callbacks.on_header_field = call<&RequestParser::on_field>;
  callbacks.on_header_field_complete = call<&RequestParser::on_field_complete>;
  callbacks.on_header_value = call<&RequestParser::on_value>;
  callbacks.on_header_value_complete = call<&RequestParser::on_value_complete>;
  callbacks.on_headers_complete = call<&RequestParser::finish_head>;
  callbacks.on_chunk_extension_name = call<&RequestParser::on_extension>;
  callbacks.on_chunk_extension_value = call<&RequestParser::on_extension>;
  callbacks.on_chunk_extension_name_complete = call<&RequestParser::on_extension_complete>;
  callbacks.on_chunk_extension_value_complete = call<&RequestParser::on_extension_complete>;
  callbacks.on_chunk_header = call<&RequestParser::on_chunk_header>;
  callbacks.on_body = call<&RequestParser::on_body>;
  callbacks.on_message_complete = call<&RequestParser::on_message_complete>;
  return callbacks;
}();

// A parser that has read a request line. Which method that was is nothing to llhttp after this
// point but for CONNECT, and the version is ours to mind: one state serves all requests.
llhttp_t RequestParser::after_request_line() {
  constexpr std::string_view kLine = "POST / HTTP/1.1\r\n";
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &kCallbacks);
  [[maybe_unused]] llhttp_errno_t result = llhttp_execute(&parser, kLine.data(), kLine.size());
  assert(result == HPE_OK);
  return parser;
}

RequestParser::RequestParser(const base::Settings& settings) : settings_(settings) {}

std::span<const Event> RequestParser::receive(std::string_view bytes) {
  empty_and_keep(events_, kKeptBusy);
  if (dead()) return {};
  if (rest_size() == 0) {
    empty_and_keep(rest_, 0);
    rest_used_ = 0;
    std::size_t used = complete() ? 0 : parse(bytes);
    if (!dead()) keep_rest(bytes.substr(used));
  } else {
    keep_rest(bytes);
    if (!complete()) rest_used_ += parse(std::string_view(rest_).substr(rest_used_));
    if (dead()) rest_used_ = rest_.size();
  }
  return events_;
}

void RequestParser::keep_rest(std::string_view bytes) {
  if (bytes.empty()) return;
  // Moves the unread bytes to the front only once they are fewer than the read ones, so that
  // each byte is moved once at most.
  if (rest_used_ > rest_.size() / 2) {
    rest_.erase(0, rest_used_);
    rest_used_ = 0;
  }
  rest_.append(bytes);
}

std::string RequestParser::take_rest() {
  std::string taken = std::exchange(rest_, {});
  taken.erase(0, std::exchange(rest_used_, 0));
  return taken;
}

void RequestParser::resume() {
  assert(complete());
  state_ = State::kLine;
  body_began_ = false;
  keep_alive_ = false;
  empty_lines_ = 0;
  method_checked_ = 0;
  trailer_fields_ = 0;
  extension_bytes_ = 0;
  authority_size_ = 0;
  head_ = {};
  give_back(rest_size() == 0 ? kKeptIdle : kKeptBusy);
}

void RequestParser::give_back(std::size_t kept) {
  empty_and_keep(events_, kept);
  empty_and_keep(arena_, kept);
  empty_and_keep(fields_, kept);
  empty_and_keep(headers_, kept);
  if (rest_size() == 0) {
    empty_and_keep(rest_, 0);
    rest_used_ = 0;
  }
}

int RequestParser::fail(int status, std::string_view reason) {
  if (in_head()) {
    // Nobody has a view of this head; the connection may linger for a while.
    empty_and_keep(arena_, 0);
    empty_and_keep(fields_, 0);
    empty_and_keep(headers_, 0);
  }
  state_ = State::kDead;
  failure_ = {status, std::string(reason)};
  events_.push_back({EventKind::kFailure, {}});
  return -1;
}

// Parses up to the end of one request; returns how many bytes that took.
std::size_t RequestParser::parse(std::string_view bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && !complete() && !dead()) {
    std::string_view left = bytes.substr(used);
    used += state_ == State::kLine ? read_line(left) : run_llhttp(left);
  }
  return used;
}

std::size_t RequestParser::read_line(std::string_view bytes) {
  if (arena_.capacity() < kFirstArena) arena_.reserve(std::min(bytes.size(), kFirstArena));
  std::size_t room = settings_.max_request_line + 2 - arena_.size();  // 2: CR LF
  std::string_view piece = bytes.substr(0, room);
  std::size_t end = piece.find('\n');
  if (end != std::string_view::npos) piece = piece.substr(0, end + 1);
  arena_.append(piece);
  check_line(piece.size());
  if (dead()) return piece.size();
  if (end != std::string_view::npos) {
    end_line();
  } else if (piece.size() == room) {
    fail(414, "request line too long");
  }
  return piece.size();
}

// Refuses what cannot become a request line as soon as it shows: another protocol's client
// (TLS, say) would otherwise wait for the end of a line that it never sends. The faults are looked
// for in the order of the bytes at which they show.
void RequestParser::check_line(std::size_t added) {
  if (arena_[0] != '\r' && !check_method()) return;
  // RFC 9112 2.2: a CR without an LF makes the element invalid.
  std::size_t seen = arena_.size() - added;
  std::size_t cr = arena_.find('\r', seen == 0 ? 0 : seen - 1);
  if (cr != std::string::npos && cr + 1 < arena_.size() && arena_[cr + 1] != '\n') fail(400, "CR without LF");
}

bool RequestParser::check_method() {
  while (method_checked_ < arena_.size() && base::is_tchar(arena_[method_checked_])) {
    if (++method_checked_ > kMaxMethod) {
      fail(501, "method too long");
      return false;
    }
  }
  bool ended = method_checked_ < arena_.size();
  if (ended && (arena_[method_checked_] != ' ' || method_checked_ == 0)) fail(400, "invalid method");
  return !dead();
}

void RequestParser::end_line() {
  if (arena_ == "\r\n") {
    arena_.clear();
    if (++empty_lines_ > kMaxEmptyLines) fail(400, "too many empty lines");
    return;
  }
  base::Result<RequestLine> line = split_request_line(arena_);
  if (!line) {
    fail(line.failure());
    return;
  }
  if (arena_.size() >= settings_.max_head) {
    fail(431, "head too large");
    return;
  }
  budget_ = settings_.max_head - arena_.size();
  head_.version = line->version;
  method_size_ = line->method.size();
  line_size_ = method_size_ + 1 + line->target.size();
  if (!line->parts.authority.empty()) {
    authority_begin_ = static_cast<std::size_t>(line->parts.authority.data() - arena_.data());
    authority_size_ = line->parts.authority.size();
  }
  arena_.resize(line_size_);
  name_begin_ = line_size_;
  static const llhttp_t kAfterRequestLine = after_request_line();
  llhttp_ = kAfterRequestLine;
  llhttp_.data = this;
  state_ = State::kFields;
}

std::size_t RequestParser::run_llhttp(std::string_view bytes) {
  const State before = state_;
  const bool limited = before == State::kFields || before == State::kTrailers;
  if (limited) bytes = bytes.substr(0, budget_);
  llhttp_errno_t result = llhttp_execute(&llhttp_, bytes.data(), bytes.size());
  std::size_t used = bytes.size();
  if (result != HPE_OK) {
    const char* stopped = llhttp_get_error_pos(&llhttp_);
    used = static_cast<std::size_t>(stopped - bytes.data());
  }
  if (dead()) return used;
  if (result == HPE_PAUSED) {
    llhttp_resume(&llhttp_);
  } else if (result != HPE_OK) {
    fail(400, llhttp_get_error_reason(&llhttp_));
  } else if (limited && state_ == before) {
    budget_ -= used;
    if (budget_ == 0) fail(431, before == State::kFields ? "head too large" : "trailers too large");
  }
  return used;
}

int RequestParser::on_field(std::string_view piece) {
  if (state_ == State::kFields) append_lower(arena_, piece);
  return 0;
}

int RequestParser::on_field_complete() {
  std::size_t fields = state_ == State::kFields ? fields_.size() : trailer_fields_++;
  if (fields >= settings_.max_header_fields) return fail(431, "too many fields");
  value_begin_ = arena_.size();
  return 0;
}

int RequestParser::on_value(std::string_view piece) {
  if (state_ == State::kFields) arena_.append(piece);
  return 0;
}

int RequestParser::on_value_complete() {
  if (state_ != State::kFields) return 0;  // trailers are checked, and dropped (RFC 9110 6.5.1)
  while (arena_.size() > value_begin_ && (arena_.back() == ' ' || arena_.back() == '\t')) arena_.pop_back();
  fields_.push_back({static_cast<std::uint32_t>(value_begin_ - name_begin_),
                     static_cast<std::uint32_t>(arena_.size() - value_begin_)});
  name_begin_ = arena_.size();
  return 0;
}

// From llhttp, at the end of the head: the arena will not move any more.
int RequestParser::finish_head() {
  std::string_view arena = arena_;
  std::size_t at = line_size_;
  headers_.reserve(fields_.size() + 1);
  for (const Field& field : fields_) {
    headers_.push_back(
        {arena.substr(at, field.name_size), arena.substr(at + field.name_size, field.value_size)});
    at += field.name_size + field.value_size;
  }
  base::Result<HeadFacts> facts = apply_head_rules(head_.version, headers_);
  if (!facts) return fail(facts.failure());
  if (authority_size_ != 0) {
    // RFC 9112 3.2.2: the target's authority replaces what Host said.
    std::string_view authority = arena.substr(authority_begin_, authority_size_);
    if (facts->host) {
      headers_[*facts->host].value = authority;
    } else {
      headers_.push_back({"host", authority});
    }
  }
  head_.method = arena.substr(0, method_size_);
  head_.target = arena.substr(method_size_ + 1, line_size_ - method_size_ - 1);
  base::Target parts = head_.target[0] == '/' ? base::split_origin(head_.target)
                                              : *base::split_target(head_.method, head_.target);
  head_.path = parts.path;
  head_.query = parts.query;
  head_.headers = headers_;
  if ((llhttp_.flags & F_CONTENT_LENGTH) != 0) head_.content_length = llhttp_.content_length;
  // RFC 9112 5.1: white space behind a value is no part of it; llhttp does not see "chunked" before a tab.
  if (facts->chunked) llhttp_.flags |= F_CHUNKED;
  head_.has_body = facts->chunked || head_.content_length.value_or(0) > 0;
  head_.expects_continue = facts->expects_continue;
  head_.accepts_trailers = facts->accepts_trailers;
  keep_alive_ = facts->keep_alive;
  state_ = State::kBody;
  events_.push_back({EventKind::kHead, {}});
  return 0;
}

int RequestParser::count_extension(std::size_t bytes) {
  extension_bytes_ += bytes;
  if (extension_bytes_ > settings_.max_chunk_extensions) return fail(400, "too many chunk extensions");
  return 0;
}

int RequestParser::on_extension(std::string_view piece) { return count_extension(piece.size()); }
int RequestParser::on_extension_complete() { return count_extension(1); }  // the ";" or "="

int RequestParser::on_chunk_header() {
  if (llhttp_.content_length != 0) return 0;
  // The last chunk: trailers follow, which get a budget of their own.
  state_ = State::kTrailers;
  budget_ = settings_.max_head;
  return HPE_PAUSED;
}

int RequestParser::on_body(std::string_view piece) {
  body_began_ = true;
  events_.push_back({EventKind::kBody, piece});
  return 0;
}

int RequestParser::on_message_complete() {
  state_ = State::kComplete;
  events_.push_back({EventKind::kEnd, {}});
  return HPE_PAUSED;
}

}  // namespace fasterapi::http1
