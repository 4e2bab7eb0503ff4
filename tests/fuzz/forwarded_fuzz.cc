// X-Forwarded-For and -Proto: no input crashes their reading, lines say the same as one joined list, and
// the client is an address that a hop really had. The first line is the scheme, each other one is a line
// of X-Forwarded-For.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "server/connection/forwarded.h"

namespace {

using namespace fasterapi;

void check(bool holds) {
  if (!holds) std::abort();
}

connection::Forwarded read(const connection::TrustedProxies& proxies,
                           const std::vector<base::Header>& headers) {
  std::unique_ptr<connection::Forwarded> forwarded = proxies.read(headers);
  return forwarded == nullptr ? connection::Forwarded() : *forwarded;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  std::vector<base::Header> headers;
  std::string joined;
  while (!input.empty()) {
    std::string_view line = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(line.size() + 1, input.size()));
    if (!headers.empty()) joined.append(line).append(",");
    headers.push_back({headers.empty() ? "x-forwarded-proto" : "x-forwarded-for", line});
  }
  for (const auto& networks : {std::vector<std::string>{"10.0.0.0/7", "2001:db8::/33"}, {"*"}}) {
    const connection::TrustedProxies proxies(networks);
    connection::Forwarded lines = read(proxies, headers);
    connection::Forwarded list = read(proxies, {{"x-forwarded-for", joined}});
    check(lines.client.host == list.client.host && lines.client.port == list.client.port);
    if (lines.client.family == net::Address::Family::kNone) continue;
    check(net::read_ip_address(lines.client.host).has_value());
    check(lines.client.port >= 0 && lines.client.port <= 65535);
    check(joined.find(lines.client.host) != std::string::npos);
  }
  return 0;
}
