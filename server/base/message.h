// A request's and a response's head as values: views into memory that somebody else owns.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace fasterapi::base {

enum class Last : bool { kNo, kYes };  // whether more body follows

struct Header {
  std::string_view name;
  std::string_view value;
  bool operator==(const Header&) const = default;
};

struct Version {
  std::uint8_t major = 1;
  std::uint8_t minor = 1;
  bool operator==(const Version&) const = default;
};

// Views live until the codec is asked for the next request.
struct RequestHead {
  std::string_view method;  // as received: case-sensitive (RFC 9110 9.1)
  std::string_view target;  // as received (RFC 9112 3.2), any of the four forms
  std::string_view path;    // of the target: raw, without the query; "*" for the asterisk form
  std::string_view query;   // of the target, behind the first '?'
  Version version;
  std::span<const Header> headers;              // names in lower case, values without outer white space
  std::optional<std::uint64_t> content_length;  // nullopt: none, or chunked
  bool has_body = false;                        // a body of at least one byte, or of unknown length, follows
  bool expects_continue = false;                // Expect: 100-continue (RFC 9110 10.1.1)
  bool accepts_trailers = false;                // TE: trailers (RFC 9110 10.1.4)
};

// Views need to live only for the duration of the call that takes this.
struct ResponseHead {
  int status = 200;  // 100..999
  std::span<const Header> headers;
  bool trailers = false;  // a section of trailers follows the body, and ends the response
};

// Whether a field may be sent behind the body: none about framing, routing, authentication, request
// modifiers, response control or the content's format (RFC 9110 6.5.1). In any case of letters.
bool may_be_trailer(std::string_view name);

// The standard reason phrase (RFC 9110 15), "" for an unregistered status.
std::string_view reason_phrase(int status);

}  // namespace fasterapi::base
