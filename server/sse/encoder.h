// One event, or a comment, as bytes of an event stream (WHATWG HTML 9.2.5), in UTF-8. No socket, no clock, no
// Python, no state: what is written depends on the arguments alone.
//
// Both append to `out`, which may be the tail of an Output, and write whole lines; an event ends with its
// empty line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/base/failure.h"

namespace fasterapi::sse {

// The fields of one event, UTF-8; an absent one has no line. Views until the call returns.
struct Event {
  std::optional<std::string_view> data = {};  // without it nothing is dispatched, but id and retry are kept
  std::optional<std::string_view> name = {};
  std::optional<std::string_view> id = {};  // empty: the client forgets the last one
  std::optional<std::uint64_t> retry = {};  // milliseconds
};

// Appends the fields in the order event, id, retry, data. `data` is split at CR LF, CR and LF; empty data is
// an event. A Failure, with nothing written, for a line end in the name or id, and NUL in the id.
base::Result<void> append_event(const Event& event, std::string& out);

// Appends lines that a client ignores, split as data is. Between events: no empty line follows, of which some
// clients would make an event.
void append_comment(std::string_view text, std::string& out);

}  // namespace fasterapi::sse
