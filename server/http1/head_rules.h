// What a complete head says about its message: the rules of RFC 9110 and 9112 that stand above
// the grammar, which llhttp has checked.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "server/base/failure.h"
#include "server/base/message.h"

namespace fasterapi::http1 {

struct HeadFacts {
  bool chunked = false;
  bool keep_alive = false;
  bool expects_continue = false;
  bool accepts_trailers = false;
  std::optional<std::size_t> host;  // index of the Host field
};

// `headers` with names in lower case and values trimmed. Fails with 400, 417 or 501.
base::Result<HeadFacts> apply_head_rules(base::Version version, std::span<const base::Header> headers);

}  // namespace fasterapi::http1
