// What the proxies before us say of a request's client: X-Forwarded-For and X-Forwarded-Proto. Anybody
// can send these, so they are read from peers of the configured networks only. A pure function of
// addresses and headers; owned by the Server.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/message.h"
#include "server/net/ip_address.h"
#include "server/net/stream.h"

namespace fasterapi::connection {

// How the client reached the first trusted proxy.
enum class Protection : unsigned char { kUnknown, kPlain, kTls };

struct Forwarded {
  net::Address client;  // of no family when unknown; its port is 0 when unknown
  Protection protection = Protection::kUnknown;
};

class TrustedProxies {
 public:
  // Addresses and networks as net::read_ip_network takes them (others are nobody's), or "*" for
  // every peer.
  explicit TrustedProxies(const std::vector<std::string>& networks);

  // A Unix socket's peer has no address, and is trusted by "*" alone.
  bool trusts(const net::Address& peer) const;

  // From the headers of a request whose peer is trusted. Null: nothing that can be believed.
  std::unique_ptr<Forwarded> read(std::span<const base::Header> headers) const;

 private:
  bool trusts(const net::IpAddress& address) const;
  net::Address client(std::span<const base::Header> headers) const;

  std::vector<net::IpNetwork> networks_;
  bool everybody_ = false;
};

}  // namespace fasterapi::connection
