#include "server/connection/forwarded.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "server/base/bytes.h"

namespace fasterapi::connection {

namespace {

constexpr std::string_view kFor = "x-forwarded-for";
constexpr std::string_view kProto = "x-forwarded-proto";

// Splits off the last element of a comma-separated list, without white space around it.
std::string_view take_last(std::string_view& list) {
  const std::size_t comma = list.rfind(',');
  const bool only = comma == std::string_view::npos;
  std::string_view last = base::trim_ows(only ? list : list.substr(comma + 1));
  list = only ? std::string_view() : list.substr(0, comma);
  return last;
}

std::optional<int> read_port(std::string_view text) {
  std::uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

// One hop: address, IPv4 ":" port, "[" IPv6 "]" or "[" IPv6 "]:" port. Nothing for what is none.
std::optional<std::pair<net::Address, net::IpAddress>> read_hop(std::string_view text) {
  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host = text.substr(1, end - 1);
    port = text.substr(end + 1);
    if (host.find(':') == std::string_view::npos) return std::nullopt;
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    host = text.substr(0, text.find(':'));
    port = text.substr(host.size());
  }
  std::optional<int> number = 0;
  if (!port.empty()) number = port[0] == ':' ? read_port(port.substr(1)) : std::nullopt;
  std::optional<net::IpAddress> address = net::read_ip_address(host);
  if (!address || !number) return std::nullopt;
  return std::pair(net::Address{net::Address::Family::kInet, std::string(host), *number}, *address);
}

// What the nearest proxy has added, which is the last.
Protection protection(std::span<const base::Header> headers) {
  auto last =
      std::find_if(headers.rbegin(), headers.rend(), [](auto& header) { return header.name == kProto; });
  if (last == headers.rend()) return Protection::kUnknown;
  std::string_view list = last->value;
  const std::string_view scheme = take_last(list);
  auto is = [scheme](std::string_view known) { return base::equals_ignoring_case(scheme, known); };
  if (is("https") || is("wss")) return Protection::kTls;
  return is("http") || is("ws") ? Protection::kPlain : Protection::kUnknown;
}

}  // namespace

TrustedProxies::TrustedProxies(const std::vector<std::string>& networks) {
  for (const std::string& text : networks) {
    if (text == "*") everybody_ = true;
    if (std::optional<net::IpNetwork> network = net::read_ip_network(text)) networks_.push_back(*network);
  }
}

bool TrustedProxies::trusts(const net::IpAddress& address) const {
  return everybody_ || std::any_of(networks_.begin(), networks_.end(),
                                   [&](const net::IpNetwork& network) { return network.contains(address); });
}

bool TrustedProxies::trusts(const net::Address& peer) const {
  if (everybody_ || networks_.empty()) return everybody_;
  std::optional<net::IpAddress> address = net::read_ip_address(peer.host);
  return peer.family == net::Address::Family::kInet && address && trusts(*address);
}

std::unique_ptr<Forwarded> TrustedProxies::read(std::span<const base::Header> headers) const {
  auto is_ours = [](const base::Header& header) { return header.name == kFor || header.name == kProto; };
  if (std::none_of(headers.begin(), headers.end(), is_ours)) return nullptr;
  return std::make_unique<Forwarded>(Forwarded{client(headers), protection(headers)});
}

// Each proxy appends the address that it was reached from, in a list over all lines of that name. The last
// that is none of our proxies' is the client's; what is left of it is the client's own word. A hop that is
// no address leaves nothing to believe.
net::Address TrustedProxies::client(std::span<const base::Header> headers) const {
  net::Address client;
  for (std::size_t i = headers.size(); i-- > 0;) {
    std::string_view list = headers[i].name == kFor ? headers[i].value : std::string_view();
    while (!list.empty()) {
      const std::string_view text = take_last(list);
      if (text.empty()) continue;  // RFC 9110 5.6.1.2: empty elements are ignored
      auto hop = read_hop(text);
      if (!hop) return {};
      client = std::move(hop->first);
      if (!trusts(hop->second)) return client;
    }
  }
  return client;
}

}  // namespace fasterapi::connection
