// The request target (RFC 9112 3.2) taken apart, and percent-decoding (RFC 3986 2.1).
#pragma once

#include <string>
#include <string_view>

#include "server/base/failure.h"

namespace fasterapi::base {

enum class TargetForm : unsigned char { kOrigin, kAbsolute, kAuthority, kAsterisk };

struct Target {
  TargetForm form = TargetForm::kOrigin;
  std::string_view scheme;     // absolute form only
  std::string_view authority;  // absolute and authority form only
  std::string_view path;       // raw, without the query; "*" for the asterisk form
  std::string_view query;      // after the first '?', without it; a fragment never is part of a target
};

// Takes `target` apart; views into it. Fails with status 400 on what is none of the four forms
// for that method (authority form for CONNECT alone, asterisk form for OPTIONS alone), and on
// bytes that no target may hold (controls, space, DEL). Raw bytes >= 0x80 are let through.
Result<Target> split_target(std::string_view method, std::string_view target);

// The same for a target in origin form that is known to be valid.
Target split_origin(std::string_view target);

// Decodes each valid %XX once; a malformed escape stays as it is. `out` is replaced.
// Returns false, leaving `out` alone, when there was nothing to decode.
bool percent_decode(std::string_view text, std::string& out);

// Whether `host` is a valid Host field value / authority: uri-host [":" port] (RFC 9110 7.2).
bool is_authority(std::string_view host);

}  // namespace fasterapi::base
