// The server's reading of an opening handshake (RFC 6455 4.2.1), and the proof that it was read (4.2.2).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/base/failure.h"
#include "server/base/message.h"

namespace fasterapi::websocket {

// Whether a request asks for this protocol: HTTP/1.1 or later, Upgrade names "websocket" and Connection
// "upgrade". Whether it asks correctly is read_handshake's to say.
bool is_requested(const base::RequestHead& head);

// Views into the head.
struct Handshake {
  std::string accept;                          // the value of Sec-WebSocket-Accept
  std::vector<std::string_view> subprotocols;  // tokens, in the client's order, of all lines
  std::vector<std::string_view> extensions;    // the values of Sec-WebSocket-Extensions, as they came
  std::string_view origin;                     // "" where there is none
};

// Fails with 426 for another version than 13 or none (the answer has to say `Sec-WebSocket-Version: 13`),
// with 400 for everything else.
base::Result<Handshake> read_handshake(const base::RequestHead& head);

}  // namespace fasterapi::websocket
