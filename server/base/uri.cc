#include "server/base/uri.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "server/base/bytes.h"

namespace fasterapi::base {

namespace {

constexpr std::array<std::string_view, 4> kSchemes = {"http", "https", "ws", "wss"};
constexpr std::string_view kUnreservedAndSubDelims = "-._~!$&'()*+,;=";  // RFC 3986 2.2, 2.3

constexpr std::array<bool, 256> kRegNameBytes = alphanumeric_or(kUnreservedAndSubDelims);

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The byte that a valid "%XX" at the front of `text` stands for; -1 for none.
int escaped_byte(std::string_view text) {
  if (text.size() < 3 || text[0] != '%') return -1;
  int high = hex_value(text[1]);
  int low = hex_value(text[2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// No control, space, DEL or '#': a fragment is never sent (RFC 9110 4.2.5).
bool has_target_bytes_only(std::string_view target) {
  bool bad = false;
  for (char c : target) {
    auto byte = static_cast<unsigned char>(c);
    bad |= byte <= 0x20 || byte == 0x7f || byte == '#';
  }
  return !bad;
}

bool is_port(std::string_view text) {
  if (text.size() > 5) return false;
  unsigned number = 0;
  for (char c : text) {
    if (!is_digit(c)) return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  return number <= 65535;
}

// RFC 3986 3.2.2: reg-name (IPv4address has the same characters).
bool is_reg_name(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (kRegNameBytes[static_cast<unsigned char>(text[i])]) continue;
    if (escaped_byte(text.substr(i)) < 0) return false;
    i += 2;
  }
  return true;
}

bool is_ipv4(std::string_view text) {
  int parts = 0;
  while (true) {
    std::string_view part = text.substr(0, text.find('.'));
    if (part.empty() || part.size() > 3 || !std::all_of(part.begin(), part.end(), is_digit)) return false;
    if (part.size() == 3 && part > "255") return false;
    if (part.size() > 1 && part[0] == '0') return false;
    ++parts;
    if (part.size() == text.size()) return parts == 4;
    text.remove_prefix(part.size() + 1);
  }
}

// RFC 3986 3.2.2: IPv6address. "::" stands for at least one group here, as in RFC 5952.
bool is_ipv6(std::string_view text) {
  int groups = 0;
  bool gap = false;
  if (text.starts_with("::")) {
    gap = true;
    text.remove_prefix(2);
    if (text.empty()) return true;
  }
  while (true) {
    std::string_view group = text.substr(0, text.find(':'));
    bool last = group.size() == text.size();
    if (last && group.find('.') != std::string_view::npos) {
      if (!is_ipv4(group)) return false;
      groups += 2;
    } else {
      auto is_hex = [](char c) { return hex_value(c) >= 0; };
      if (group.empty() || group.size() > 4 || !std::all_of(group.begin(), group.end(), is_hex)) return false;
      ++groups;
    }
    if (last) break;
    text.remove_prefix(group.size() + 1);
    if (text.starts_with(':')) {
      if (gap) return false;
      gap = true;
      text.remove_prefix(1);
      if (text.empty()) break;
    }
  }
  return gap ? groups < 8 : groups == 8;
}

// RFC 3986 3.2.2: IP-literal, without the brackets. A zone identifier is no part of it.
bool is_ip_literal(std::string_view text) {
  if (!text.starts_with('v') && !text.starts_with('V')) return is_ipv6(text);
  std::size_t dot = text.find('.');
  if (dot == std::string_view::npos || dot < 2 || dot + 1 == text.size()) return false;
  std::string_view version = text.substr(1, dot - 1);
  if (!std::all_of(version.begin(), version.end(), [](char c) { return hex_value(c) >= 0; })) return false;
  std::string_view address = text.substr(dot + 1);
  return address.find('%') == std::string_view::npos &&
         std::all_of(address.begin(), address.end(), [](char c) {
           return c == ':' || is_reg_name({&c, 1});
         });
}

void split_path(std::string_view text, Target& out) {
  std::size_t mark = text.find('?');
  out.path = text.substr(0, mark);
  if (mark != std::string_view::npos) out.query = text.substr(mark + 1);
}

Failure bad_target() { return {400, "invalid request target"}; }

Result<Target> split_absolute(std::string_view method, std::string_view target) {
  std::size_t colon = target.find("://");
  if (colon == std::string_view::npos) return bad_target();
  Target out;
  out.form = TargetForm::kAbsolute;
  out.scheme = target.substr(0, colon);
  if (std::none_of(kSchemes.begin(), kSchemes.end(),
                   [&](std::string_view known) { return equals_ignoring_case(known, out.scheme); })) {
    return bad_target();
  }
  std::string_view rest = target.substr(colon + 3);
  out.authority = rest.substr(0, rest.find_first_of("/?"));
  // RFC 9110 4.2.1: an empty host is to be rejected. 4.2.4: so is userinfo, as is_authority does.
  if (out.authority.empty() || !is_authority(out.authority)) return bad_target();
  split_path(rest.substr(out.authority.size()), out);
  if (out.path.empty()) {
    // RFC 9112 3.2.4: OPTIONS on an empty path, without a query, is about the whole server.
    bool whole_server = method == "OPTIONS" && rest.size() == out.authority.size();
    out.path = whole_server ? "*" : "/";
  }
  return out;
}

}  // namespace

Result<Target> split_target(std::string_view method, std::string_view target) {
  if (target.empty() || !has_target_bytes_only(target)) return bad_target();
  Target out;
  if (equals_ignoring_case(method, "CONNECT")) {
    // RFC 9112 3.2.3: uri-host ":" port, both there.
    std::size_t colon = target.rfind(':');
    if (!is_authority(target) || colon == std::string_view::npos) return bad_target();
    if (colon + 1 == target.size() || target.back() == ']') return bad_target();
    out.form = TargetForm::kAuthority;
    out.authority = target;
    return out;
  }
  if (target[0] == '/') return split_origin(target);
  if (target == "*") {
    if (!equals_ignoring_case(method, "OPTIONS")) return bad_target();
    out.form = TargetForm::kAsterisk;
    out.path = target;
    return out;
  }
  return split_absolute(method, target);
}

Target split_origin(std::string_view target) {
  Target out;
  split_path(target, out);
  return out;
}

bool percent_decode(std::string_view text, std::string& out) {
  std::size_t first = text.find('%');
  while (first != std::string_view::npos && escaped_byte(text.substr(first)) < 0) {
    first = text.find('%', first + 1);
  }
  if (first == std::string_view::npos) return false;
  out.assign(text.substr(0, first));
  for (std::size_t i = first; i < text.size(); ++i) {
    int byte = escaped_byte(text.substr(i));
    if (byte < 0) {
      out.push_back(text[i]);
    } else {
      out.push_back(static_cast<char>(byte));
      i += 2;
    }
  }
  return true;
}

bool is_authority(std::string_view host) {
  if (host.empty()) return true;  // RFC 9112 3.2: the Host of a target that has no authority
  std::size_t end = 0;
  while (end < host.size() && kRegNameBytes[static_cast<unsigned char>(host[end])]) ++end;
  if (end == host.size()) return true;
  if (host[end] == ':' && end != 0) return is_port(host.substr(end + 1));
  if (host[0] == '[') {
    end = host.find(']');
    if (end == std::string_view::npos || !is_ip_literal(host.substr(1, end - 1))) return false;
    ++end;
  } else {
    end = std::min(host.find(':'), host.size());
    if (end == 0 || !is_reg_name(host.substr(0, end))) return false;
  }
  std::string_view port = host.substr(end);
  return port.empty() || (port[0] == ':' && is_port(port.substr(1)));
}

}  // namespace fasterapi::base
