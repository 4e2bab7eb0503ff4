// The first line of a request (RFC 9112 3), read here and not by llhttp, which knows methods
// only from a list: RFC 9110 9.1 lets any token be one.
#pragma once

#include <string_view>

#include "server/base/failure.h"
#include "server/base/message.h"
#include "server/base/uri.h"

namespace fasterapi::http1 {

struct RequestLine {
  std::string_view method;
  std::string_view target;
  base::Version version;
  base::Target parts;  // of the target
};

// `line` with its CR LF; views into it. Fails with 400, 501 (CONNECT) or 505.
base::Result<RequestLine> split_request_line(std::string_view line);

}  // namespace fasterapi::http1
