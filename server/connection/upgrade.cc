#include "server/connection/upgrade.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/base/bytes.h"
#include "server/websocket/deflate_offer.h"

namespace fasterapi::connection {

namespace {

// Of the handshake itself (RFC 6455 11.3): the server's to say.
constexpr std::string_view kOurs[] = {"sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-key",
                                      "sec-websocket-version"};

base::Result<void> check(const Acceptance& acceptance) {
  if (!acceptance.subprotocol.empty() && !base::is_token(acceptance.subprotocol)) {
    return base::Failure(500, "the subprotocol is no token");
  }
  for (const base::Header& header : acceptance.headers) {
    for (std::string_view name : kOurs) {
      if (base::equals_ignoring_case(header.name, name)) {
        return base::Failure(500, std::string("the server itself answers with ").append(name));
      }
    }
  }
  return {};
}

}  // namespace

base::Result<std::unique_ptr<websocket::Handshake>> read_upgrade(const base::RequestHead& head,
                                                                 const base::Settings& settings) {
  using Read = std::unique_ptr<websocket::Handshake>;
  if (!settings.websocket_enabled || !websocket::is_requested(head)) return Read();
  base::Result<websocket::Handshake> handshake = websocket::read_handshake(head);
  if (!handshake) return handshake.failure();
  const auto& origins = settings.websocket.allowed_origins;
  bool allowed =
      origins.empty() || std::find(origins.begin(), origins.end(), handshake->origin) != origins.end();
  if (!allowed) return base::Failure(403, "the origin may not open a WebSocket");
  return std::make_unique<websocket::Handshake>(std::move(*handshake));
}

base::Result<std::unique_ptr<websocket::MessageDeflate>> write_upgrade(
    http1::Codec& codec, const websocket::Handshake& handshake, const Acceptance& acceptance,
    const http1::DefaultHeaders& defaults, websocket::DeflatePool& pool,
    const base::WebSocketSettings& settings) {
  if (base::Result<void> checked = check(acceptance); !checked) return checked.failure();
  std::optional<websocket::Agreement> agreement;
  if (settings.deflate) agreement = websocket::agree_on_deflate(handshake.extensions, settings);
  std::vector<base::Header> headers{{"sec-websocket-accept", handshake.accept}};
  if (!acceptance.subprotocol.empty()) headers.push_back({"sec-websocket-protocol", acceptance.subprotocol});
  if (agreement) headers.push_back({"sec-websocket-extensions", agreement->response});
  headers.insert(headers.end(), acceptance.headers.begin(), acceptance.headers.end());
  base::Result<void> written = codec.switch_protocols("websocket", headers, defaults);
  if (!written) return written.failure();
  if (!agreement) return std::unique_ptr<websocket::MessageDeflate>();
  return std::make_unique<websocket::MessageDeflate>(pool, agreement->parameters, settings);
}

}  // namespace fasterapi::connection
