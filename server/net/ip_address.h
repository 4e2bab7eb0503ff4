// IP addresses and networks as numbers, read from text: what a list of trusted proxies is made of.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace fasterapi::net {

// IPv4 is kept as an IPv4-mapped IPv6 address (RFC 4291 2.5.5.2), so that a peer is the same on a
// socket of either family.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};
  bool is_v4() const;
  bool operator==(const IpAddress&) const = default;
};

// Dotted IPv4 without leading zeros, or IPv6 (RFC 4291 2.2) without brackets and zone.
std::optional<IpAddress> read_ip_address(std::string_view text);

struct IpNetwork {
  IpAddress address;
  unsigned prefix = 128;  // bits of `address` that count, as IPv6
  // A network of IPv6 that is wider than all of IPv4 contains nothing of IPv4.
  bool contains(const IpAddress& other) const;
};

// An address alone, or address "/" prefix length.
std::optional<IpNetwork> read_ip_network(std::string_view text);

}  // namespace fasterapi::net
