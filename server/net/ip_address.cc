#include "server/net/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace fasterapi::net {

namespace {
constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned kMappedBits = kMapped.size() * 8;
}  // namespace

bool IpAddress::is_v4() const { return std::equal(kMapped.begin(), kMapped.end(), bytes.begin()); }

std::optional<IpAddress> read_ip_address(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  IpAddress address;
  if (text.find(':') != std::string_view::npos) {
    if (inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) != 1) return std::nullopt;
    return address;
  }
  auto rest = std::copy(kMapped.begin(), kMapped.end(), address.bytes.begin());
  if (inet_pton(AF_INET, terminated.c_str(), &*rest) != 1) return std::nullopt;
  return address;
}

bool IpNetwork::contains(const IpAddress& other) const {
  if (prefix < kMappedBits && other.is_v4()) return false;
  const auto whole = static_cast<std::ptrdiff_t>(prefix / 8);
  if (!std::equal(address.bytes.begin(), address.bytes.begin() + whole, other.bytes.begin())) return false;
  if (prefix % 8 == 0) return true;
  const auto at = static_cast<std::size_t>(whole);
  return ((address.bytes[at] ^ other.bytes[at]) >> (8 - prefix % 8)) == 0;
}

std::optional<IpNetwork> read_ip_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::optional<IpAddress> address = read_ip_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == std::string_view::npos) return IpNetwork{*address, 128};
  const std::string_view digits = text.substr(slash + 1);
  const bool v4 = text.substr(0, slash).find(':') == std::string_view::npos;
  unsigned prefix = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (prefix > (v4 ? 32 : 128)) return std::nullopt;
  return IpNetwork{*address, v4 ? kMappedBits + prefix : prefix};
}

}  // namespace fasterapi::net
