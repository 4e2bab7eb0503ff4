#include "server/http1/request_line.h"

#include "server/base/bytes.h"

namespace fasterapi::http1 {

namespace {

using base::Failure;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// RFC 9112 2.3: HTTP-name is case-sensitive, and there is one digit on each side of the dot.
base::Result<base::Version> read_version(std::string_view text) {
  if (text == "HTTP/1.1") return base::Version{1, 1};
  if (text == "HTTP/1.0") return base::Version{1, 0};
  bool is_version = text.size() == 8 && text.starts_with("HTTP/") && is_digit(text[5]) && text[6] == '.' &&
                    is_digit(text[7]);
  if (!is_version) return Failure{400, "invalid HTTP version"};
  return Failure{505, "unsupported HTTP version"};
}

}  // namespace

base::Result<RequestLine> split_request_line(std::string_view line) {
  // RFC 9112 2.2 lets a recipient take a lone LF as a line's end; two servers in a row that
  // differ in this see different requests.
  if (!line.ends_with("\r\n")) return Failure{400, "request line without CR LF"};
  line.remove_suffix(2);
  // RFC 9112 3: single spaces. The lenient reading it also allows is a way to smuggle.
  std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return Failure{400, "invalid request line"};
  std::string_view method = line.substr(0, space);
  if (!base::is_token(method)) return Failure{400, "invalid method"};
  std::string_view rest = line.substr(space + 1);
  space = rest.find(' ');
  if (space == std::string_view::npos) return Failure{400, "request line without a version"};
  base::Result<base::Version> version = read_version(rest.substr(space + 1));
  if (!version) return version.failure();
  // In any case of letters: the application is given methods in capitals.
  if (base::equals_ignoring_case(method, "CONNECT")) return Failure{501, "CONNECT is not supported"};
  base::Result<base::Target> parts = base::split_target(method, rest.substr(0, space));
  if (!parts) return parts.failure();
  return RequestLine{method, rest.substr(0, space), *version, *parts};
}

}  // namespace fasterapi::http1
