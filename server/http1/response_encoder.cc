#include "server/http1/response_encoder.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "server/base/bytes.h"
#include "server/base/log.h"

namespace fasterapi::http1 {

namespace {

using base::Failure;
using base::Last;
using base::Result;

// What the server must know of a field that the application sets.
enum class Meaning : std::uint8_t {
  kPlain,
  kContentLength,
  kConnection,
  kDate,
  kServer,
  kUpgrade,  // dropped but for 426
  kDropped,  // about this hop, or its framing: the server's business (RFC 9110 7.6.1, RFC 9112 6.1)
};

Meaning meaning_of(std::string_view name) {
  auto is = [name](std::string_view known) { return base::equals_ignoring_case(name, known); };
  switch (name.size()) {
    case 2:
      return is("te") ? Meaning::kDropped : Meaning::kPlain;
    case 4:
      return is("date") ? Meaning::kDate : Meaning::kPlain;
    case 6:
      return is("server") ? Meaning::kServer : Meaning::kPlain;
    case 7:
      return is("upgrade") ? Meaning::kUpgrade : Meaning::kPlain;
    case 10:
      if (is("connection")) return Meaning::kConnection;
      return is("keep-alive") ? Meaning::kDropped : Meaning::kPlain;
    case 14:
      return is("content-length") ? Meaning::kContentLength : Meaning::kPlain;
    case 16:
      return is("proxy-connection") ? Meaning::kDropped : Meaning::kPlain;
    case 17:
      return is("transfer-encoding") ? Meaning::kDropped : Meaning::kPlain;
    default:
      return Meaning::kPlain;
  }
}

// Bytes written one after another into room that was made for them: appending each to a string,
// with its checks, costs more than the bytes.
class Writer {
 public:
  Writer(std::string& out, std::size_t most) : out_(out), begin_(out.size()) {
    out_.resize(begin_ + most);
    at_ = out_.data() + begin_;
  }
  void put(std::string_view bytes) {
    assert(bytes.size() <= static_cast<std::size_t>(out_.data() + out_.size() - at_));
    at_ = std::copy(bytes.begin(), bytes.end(), at_);
  }
  void line(std::string_view name, std::string_view value) {
    put(name);
    put(": ");
    put(value);
    put("\r\n");
  }
  // Gives the rest of the room back; returns how many bytes were written.
  std::size_t finish() {
    auto size = static_cast<std::size_t>(at_ - out_.data());
    out_.resize(size);
    return size - begin_;
  }

 private:
  std::string& out_;
  std::size_t begin_;
  char* at_;
};

// More than a status line and the lines of the server's own, but for what DefaultHeaders holds.
constexpr std::size_t kOwnLines = 192;

std::size_t room_for(const DefaultHeaders& defaults) {
  return kOwnLines + defaults.date.size() + defaults.server.size() + defaults.extra.size();
}

void put_status_line(Writer& out, int status) {
  switch (status) {
    case 200:
      return out.put("HTTP/1.1 200 OK\r\n");
    case 304:
      return out.put("HTTP/1.1 304 Not Modified\r\n");
    case 404:
      return out.put("HTTP/1.1 404 Not Found\r\n");
    default:
      const char digits[] = {static_cast<char>('0' + status / 100), static_cast<char>('0' + status / 10 % 10),
                             static_cast<char>('0' + status % 10), ' '};
      out.put("HTTP/1.1 ");
      out.put({digits, sizeof digits});  // RFC 9112 4: the space is there even when the phrase is empty
      out.put(base::reason_phrase(status));
      out.put("\r\n");
  }
}

// RFC 9110 8.6: no content-length in a 1xx or 204.
bool has_no_length(int status) { return status < 200 || status == 204; }

Failure bad_header(std::string_view what, std::string_view name) {
  std::string reason(what);
  reason.append(" \"");
  base::append_escaped(reason, name);
  reason.push_back('"');
  return {500, std::move(reason)};
}

// RFC 9110 8.6: 1*DIGIT.
std::optional<std::uint64_t> read_length(std::string_view text) {
  std::uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

struct ResponseEncoder::Plan {
  Framing framing = Framing::kNone;
  std::size_t size = 0;   // of the application's lines
  bool all_plain = true;  // none of them is the server's business
  bool close = false;
  bool has_date = false;
  bool has_server = false;
  bool upgrade = false;       // the client is told to what (RFC 9110 15.5.22)
  std::string_view protocol;  // that the connection changes to
  std::optional<std::uint64_t> length;
};

void ResponseEncoder::begin(const base::RequestHead& request, Reuse reuse) {
  state_ = State::kAwaitsHead;
  http_1_0_ = request.version.minor == 0;
  expects_continue_ = request.expects_continue;
  accepts_trailers_ = request.accepts_trailers;
  // Applications are given the method in capitals and answer "head" as HEAD. Its sender may or
  // may not wait for a body (RFC 9110 9.1): only the connection's end is clear to both.
  head_request_ = base::equals_ignoring_case(request.method, "HEAD");
  bool ambiguous = head_request_ && request.method != "HEAD";
  if (reuse == Reuse::kClose || ambiguous) close_ = true;
}

void ResponseEncoder::send_continue() {
  if (!expects_continue_ || state_ != State::kAwaitsHead) return;
  expects_continue_ = false;
  output_.append("HTTP/1.1 100 Continue\r\n\r\n");
}

Result<void> ResponseEncoder::send_head(const base::ResponseHead& head, const DefaultHeaders& defaults) {
  if (state_ != State::kAwaitsHead) return Failure{500, "no response head is due"};
  if (head.status < 200 || head.status > 999) {
    return Failure{500, "status " + std::to_string(head.status) + " is not that of a final response"};
  }
  Result<Plan> result = plan(head);
  if (!result) return result.failure();
  framing_ = result->framing;
  remaining_ = result->length.value_or(0);
  close_ = result->close;
  trailers_due_ = head.trailers;
  write_head(head, defaults, *result);
  state_ = State::kBody;
  return {};
}

Result<void> ResponseEncoder::switch_protocols(std::string_view protocol,
                                               std::span<const base::Header> headers,
                                               const DefaultHeaders& defaults) {
  if (state_ != State::kAwaitsHead) return Failure{500, "no response head is due"};
  const base::ResponseHead head{101, headers};
  Result<Plan> result = plan(head);
  if (!result) return result.failure();
  result->protocol = protocol;
  write_head(head, defaults, *result);
  state_ = State::kDone;
  return {};
}

// Reads and checks the whole head before a byte of it is written.
Result<ResponseEncoder::Plan> ResponseEncoder::plan(const base::ResponseHead& head) const {
  Plan plan;
  plan.close = close_;
  for (const auto& [name, value] : head.headers) {
    // RFC 9110 5.1, 5.5: a line break in either would let the application's data forge a response.
    if (!base::is_token(name)) return bad_header("invalid header name", name);
    if (!base::is_field_value(value)) return bad_header("invalid value of header", name);
    plan.size += name.size() + value.size() + 4;
    switch (meaning_of(name)) {
      case Meaning::kContentLength:
        if (plan.length) return bad_header("more than one header", name);
        plan.length = read_length(value);
        if (!plan.length) return bad_header("invalid value of header", name);
        break;
      case Meaning::kConnection:
        plan.close |= base::list_has_token(value, "close");
        plan.all_plain = false;
        break;
      case Meaning::kDate:
        plan.has_date = true;
        break;
      case Meaning::kServer:
        plan.has_server = true;
        break;
      case Meaning::kUpgrade:
        plan.upgrade = head.status == 426;
        plan.all_plain = false;
        break;
      case Meaning::kDropped:
        plan.all_plain = false;
        break;
      case Meaning::kPlain:
        break;
    }
  }
  if (has_no_length(head.status)) plan.all_plain = false;
  // RFC 9112 6.3: these end with the head, whatever it says.
  if (head_request_ || has_no_length(head.status) || head.status == 304) {
    plan.framing = Framing::kNone;
  } else if (plan.length) {
    plan.framing = Framing::kLength;
  } else if (http_1_0_) {
    // RFC 9112 6.1: no transfer-encoding to a client that did not announce HTTP/1.1.
    plan.framing = Framing::kUntilClose;
    plan.close = true;
  } else {
    plan.framing = Framing::kChunked;
  }
  return plan;
}

void ResponseEncoder::write_head(const base::ResponseHead& head, const DefaultHeaders& defaults,
                                 const Plan& plan) {
  Writer out(output_.tail(), room_for(defaults) + plan.size + plan.protocol.size());
  put_status_line(out, head.status);
  if (!plan.has_date && !defaults.date.empty()) out.line("date", defaults.date);
  if (!plan.has_server && !defaults.server.empty()) out.line("server", defaults.server);
  out.put(defaults.extra);
  for (const auto& [name, value] : head.headers) {
    if (!plan.all_plain) {
      Meaning meaning = meaning_of(name);
      if (meaning == Meaning::kDropped || meaning == Meaning::kConnection) continue;
      if (meaning == Meaning::kUpgrade && !plan.upgrade) continue;
      if (meaning == Meaning::kContentLength && has_no_length(head.status)) continue;
    }
    out.line(name, value);
  }
  if (plan.framing == Framing::kChunked) out.put("transfer-encoding: chunked\r\n");
  // RFC 9110 7.8: with upgrade, connection names it.
  if (!plan.protocol.empty()) {
    out.line("upgrade", plan.protocol);
    out.put("connection: upgrade\r\n");
  } else if (plan.upgrade) {
    out.put(plan.close ? "connection: upgrade, close\r\n" : "connection: upgrade\r\n");
  } else if (plan.close) {
    out.put("connection: close\r\n");
  } else if (http_1_0_) {
    out.put("connection: keep-alive\r\n");  // RFC 9112 C.2.2: what an HTTP/1.0 client asked for
  }
  out.put("\r\n");
  output_.grown(out.finish());
}

// Checks a piece of the body against the framing, and counts it.
Result<void> ResponseEncoder::admit(std::size_t size, Last last) {
  if (state_ != State::kBody) {
    return Failure{500, complete()    ? "the response is already complete"
                        : head_sent() ? "the response's body is already complete"
                                      : "no response head was sent"};
  }
  if (framing_ == Framing::kLength) {
    if (size > remaining_) {
      return Failure{500, "response body longer than its content-length"};
    }
    if (last == Last::kYes && size < remaining_) {
      // RFC 9112 6.3: the client waits for the rest; only the connection's end tells it the truth.
      close_ = true;
      return Failure{500, "response body shorter than its content-length"};
    }
    remaining_ -= size;
  }
  if (last == Last::kYes) state_ = trailers_due_ ? State::kTrailers : State::kDone;
  return {};
}

namespace {

constexpr std::string_view kChunkEnd = "\r\n";

void append_chunk_size(std::string& out, std::size_t size) {
  base::append_hex(out, size);
  out.append(kChunkEnd);
}

}  // namespace

// RFC 9112 7.1: what stands behind a chunk's data; behind the last chunk trailers, or none.
std::string_view ResponseEncoder::chunk_end(Last last) const {
  if (last == Last::kNo) return kChunkEnd;
  return trailers_due_ ? "\r\n0\r\n" : "\r\n0\r\n\r\n";
}

// A chunk, unless it is empty, which would be the last one; and the last one.
void ResponseEncoder::write_chunk(std::string_view bytes, Last last) {
  std::string& out = output_.tail();
  const std::size_t before = out.size();
  if (!bytes.empty()) {
    append_chunk_size(out, bytes.size());
    out.append(bytes);
    out.append(chunk_end(last));
  } else if (last == Last::kYes) {
    out.append(chunk_end(last).substr(kChunkEnd.size()));
  }
  output_.grown(out.size() - before);
}

Result<void> ResponseEncoder::send_body(std::string_view bytes, Last last) {
  if (Result<void> result = admit(bytes.size(), last); !result) return result;
  if (framing_ == Framing::kChunked) {
    write_chunk(bytes, last);
  } else if (framing_ != Framing::kNone) {
    output_.append(bytes);
  }
  return {};
}

Result<void> ResponseEncoder::send_body(base::Slice bytes, Last last) {
  const std::size_t size = bytes.bytes().size();
  if (size == 0 || size < settings_.zero_copy_threshold) return send_body(bytes.bytes(), last);
  if (Result<void> result = admit(size, last); !result) return result;
  if (framing_ == Framing::kChunked) {
    std::string& out = output_.tail();
    const std::size_t before = out.size();
    append_chunk_size(out, size);
    output_.grown(out.size() - before);
  }
  if (framing_ != Framing::kNone) output_.append(std::move(bytes));
  if (framing_ == Framing::kChunked) output_.append(chunk_end(last));
  return {};
}

// RFC 9112 7.1.2
Result<void> ResponseEncoder::send_trailers(std::span<const base::Header> fields, Last last) {
  if (state_ != State::kTrailers) {
    return Failure{500, trailers_due_ && state_ == State::kBody ? "trailers come behind the body's end"
                                                                : "no trailers are due"};
  }
  std::size_t size = 2;  // the last CR LF
  for (const auto& [name, value] : fields) {
    if (!base::is_token(name)) return bad_header("invalid trailer name", name);
    if (!base::is_field_value(value)) return bad_header("invalid value of trailer", name);
    if (!base::may_be_trailer(name)) return bad_header("not allowed behind a body: header", name);
    size += name.size() + value.size() + 4;
  }
  if (last == Last::kYes) state_ = State::kDone;
  if (framing_ != Framing::kChunked) return {};
  Writer out(output_.tail(), size);
  // RFC 9110 6.5.1: only for a client that said it takes them.
  if (accepts_trailers_) {
    for (const auto& [name, value] : fields) out.line(name, value);
  }
  if (last == Last::kYes) out.put("\r\n");
  output_.grown(out.finish());
  return {};
}

void append_error_response(base::Output& output, int status, const DefaultHeaders& defaults) {
  std::string_view body = base::reason_phrase(status);
  std::string length;
  base::append_decimal(length, body.size());
  Writer out(output.tail(), room_for(defaults) + body.size());
  put_status_line(out, status);
  if (!defaults.date.empty()) out.line("date", defaults.date);
  if (!defaults.server.empty()) out.line("server", defaults.server);
  out.put(defaults.extra);
  out.line("content-type", "text/plain; charset=utf-8");
  out.line("content-length", length);
  out.put("connection: close\r\n\r\n");
  out.put(body);
  output.grown(out.finish());
}

}  // namespace fasterapi::http1
