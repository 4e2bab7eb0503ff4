// How an HTTP/1.1 request becomes a WebSocket (RFC 6455 4.2): whether it may, and the answer that says so.
#pragma once

#include <memory>

#include "server/base/failure.h"
#include "server/base/message.h"
#include "server/base/settings.h"
#include "server/connection/websocket.h"
#include "server/http1/codec.h"
#include "server/websocket/deflate.h"
#include "server/websocket/handshake.h"

namespace fasterapi::connection {

// Null: no WebSocket is asked for, or none is to be had. A Failure has the status that says what is wrong
// with the handshake; behind a 426 the answer names our version.
base::Result<std::unique_ptr<websocket::Handshake>> read_upgrade(const base::RequestHead& head,
                                                                 const base::Settings& settings);

// Writes the 101. What both sides deflate with; null: no permessage-deflate. A Failure is the
// application's fault, with nothing written.
base::Result<std::unique_ptr<websocket::MessageDeflate>> write_upgrade(
    http1::Codec& codec, const websocket::Handshake& handshake, const Acceptance& acceptance,
    const http1::DefaultHeaders& defaults, websocket::DeflatePool& pool,
    const base::WebSocketSettings& settings);

}  // namespace fasterapi::connection
