#include "server/http1/head_rules.h"

#include <algorithm>
#include <string_view>

#include "server/base/bytes.h"
#include "server/base/uri.h"

namespace fasterapi::http1 {

namespace {

using base::Failure;
using base::Result;

struct Findings {
  HeadFacts facts;
  bool has_length = false;
  bool has_coding = false;
  bool bad_coding = false;      // an element of Transfer-Encoding that is no coding
  bool foreign_coding = false;  // one that is not chunked
  bool final_chunked = false;   // the last element so far is chunked
  unsigned chunked = 0;
  bool wants_close = false;
  bool wants_keep_alive = false;
  bool foreign_expectation = false;

  void see_coding(std::string_view element);
  void see_expectation(std::string_view element);
};

void Findings::see_coding(std::string_view element) {
  has_coding = true;
  std::string_view name = base::trim_ows(element.substr(0, element.find(';')));
  final_chunked = base::equals_ignoring_case(element, "chunked");
  if (final_chunked) {
    ++chunked;
  } else if (!base::is_token(name) || base::equals_ignoring_case(name, "chunked")) {
    bad_coding = true;  // RFC 9112 7.1: chunked has no parameters
  } else {
    foreign_coding = true;
  }
}

void Findings::see_expectation(std::string_view element) {
  if (base::equals_ignoring_case(element, "100-continue")) {
    facts.expects_continue = true;
  } else if (!element.empty()) {
    foreign_expectation = true;
  }
}

Result<void> check_transfer_encoding(const Findings& found, base::Version version) {
  // RFC 9112 6.1: in an HTTP/1.0 message the framing is to be taken as faulty.
  if (version.minor == 0) return Failure{400, "transfer-encoding in HTTP/1.0"};
  // RFC 9112 6.3: both is how requests are smuggled; some proxy before us may have believed the
  // other one.
  if (found.has_length) return Failure{400, "both content-length and transfer-encoding"};
  if (found.bad_coding) return Failure{400, "malformed transfer-encoding"};
  // RFC 9112 6.3: without chunked as the final coding the length is unknown; 7.1: only once.
  if (!found.final_chunked || found.chunked != 1) return Failure{400, "invalid transfer-encoding"};
  // RFC 9112 6.1: a coding that we do not understand.
  if (found.foreign_coding) return Failure{501, "unknown transfer coding"};
  return {};
}

Result<void> see_host(Findings& found, std::size_t index, std::string_view value) {
  // RFC 9112 3.2: 400 for more than one Host and for an invalid one.
  if (found.facts.host) return Failure{400, "more than one host"};
  if (!base::is_authority(value)) return Failure{400, "invalid host"};
  found.facts.host = index;
  return {};
}

}  // namespace

Result<HeadFacts> apply_head_rules(base::Version version, std::span<const base::Header> headers) {
  Findings found;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    auto [name, value] = headers[i];
    if (name == "host") {
      if (Result<void> result = see_host(found, i, value); !result) return result.failure();
    } else if (name == "content-length") {
      if (found.has_length) return Failure{400, "more than one content-length"};
      found.has_length = true;
    } else if (name == "transfer-encoding") {
      base::for_each_element(value, [&](std::string_view element) { found.see_coding(element); });
    } else if (name == "connection") {
      found.wants_close |= base::list_has_token(value, "close");
      found.wants_keep_alive |= base::list_has_token(value, "keep-alive");
    } else if (name == "te") {
      found.facts.accepts_trailers |= base::list_has_token(value, "trailers");
    } else if (name == "expect") {
      base::for_each_element(value, [&](std::string_view element) { found.see_expectation(element); });
    }
  }
  if (version.minor >= 1 && !found.facts.host) return Failure{400, "no host"};
  if (found.has_coding) {
    if (Result<void> result = check_transfer_encoding(found, version); !result) return result.failure();
  }
  // RFC 9110 10.1.1: an HTTP/1.0 client cannot mean it, nor trailers; any other expectation is 417.
  if (version.minor == 0) {
    found.facts.expects_continue = false;
    found.facts.accepts_trailers = false;
  } else if (found.foreign_expectation) {
    return Failure{417, "unknown expectation"};
  }
  found.facts.chunked = found.has_coding;
  // RFC 9112 9.3
  found.facts.keep_alive = !found.wants_close && (version.minor >= 1 || found.wants_keep_alive);
  return found.facts;
}

}  // namespace fasterapi::http1
