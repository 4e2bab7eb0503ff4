// Negotiation of permessage-deflate (RFC 7692 7.1), the server's side: a client's offers in, what both
// sides do from then on out. Used by whoever answers the handshake; MessageDeflate obeys the result.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "server/base/settings.h"

namespace fasterapi::websocket {

// What was agreed. Window sizes are logarithms to base 2 of bytes; 15 is what holds where nothing is said.
struct DeflateParameters {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  int server_max_window_bits = 15;  // 9..15: our deflater's
  int client_max_window_bits = 15;  // 8..15: our inflater's
  bool operator==(const DeflateParameters&) const = default;
};

struct Agreement {
  DeflateParameters parameters;
  std::string response;  // the value of our Sec-WebSocket-Extensions
};

// Accepts the first offer of permessage-deflate that can be accepted. `offers`: the values of the
// Sec-WebSocket-Extensions lines, in order. Nothing where there is no such offer, where deflate is off in
// the settings, or where any line breaks the syntax of RFC 6455 9.1.
std::optional<Agreement> agree_on_deflate(std::span<const std::string_view> offers,
                                          const base::WebSocketSettings& settings);

}  // namespace fasterapi::websocket
