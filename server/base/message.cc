#include "server/base/message.h"

#include <algorithm>
#include <iterator>

#include "server/base/bytes.h"

namespace fasterapi::base {

namespace {

struct Phrase {
  int status;
  std::string_view text;
};

// The IANA registry of HTTP status codes, in order; names of RFC 9110 15 where it defines them.
constexpr Phrase kPhrases[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {418, "I'm a teapot"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {510, "Not Extended"},
    {511, "Network Authentication Required"},
};

// Of the fields of RFC 9110, RFC 9111, RFC 6265 and RFC 7235, in the order of RFC 9110 6.5.1.
constexpr std::string_view kNoTrailers[] = {"transfer-encoding",
                                            "content-length",
                                            "trailer",
                                            "host",
                                            "connection",
                                            "keep-alive",
                                            "proxy-connection",
                                            "upgrade",
                                            "te",
                                            "authorization",
                                            "www-authenticate",
                                            "proxy-authenticate",
                                            "proxy-authorization",
                                            "set-cookie",
                                            "cookie",
                                            "cache-control",
                                            "expect",
                                            "max-forwards",
                                            "pragma",
                                            "range",
                                            "if-match",
                                            "if-none-match",
                                            "if-range",
                                            "if-modified-since",
                                            "if-unmodified-since",
                                            "age",
                                            "expires",
                                            "date",
                                            "location",
                                            "retry-after",
                                            "vary",
                                            "warning",
                                            "content-encoding",
                                            "content-type",
                                            "content-range"};

}  // namespace

bool may_be_trailer(std::string_view name) {
  return std::none_of(std::begin(kNoTrailers), std::end(kNoTrailers),
                      [name](std::string_view other) { return equals_ignoring_case(name, other); });
}

std::string_view reason_phrase(int status) {
  const Phrase* found =
      std::lower_bound(std::begin(kPhrases), std::end(kPhrases), status,
                       [](const Phrase& phrase, int wanted) { return phrase.status < wanted; });
  return found != std::end(kPhrases) && found->status == status ? found->text : std::string_view();
}

}  // namespace fasterapi::base
