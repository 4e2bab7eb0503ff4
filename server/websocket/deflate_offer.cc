#include "server/websocket/deflate_offer.h"

#include <algorithm>
#include <cstdint>

#include "server/base/bytes.h"

namespace fasterapi::websocket {

namespace {

constexpr std::string_view kExtension = "permessage-deflate";
constexpr std::string_view kServerNoContextTakeover = "server_no_context_takeover";
constexpr std::string_view kClientNoContextTakeover = "client_no_context_takeover";
constexpr std::string_view kServerMaxWindowBits = "server_max_window_bits";
constexpr std::string_view kClientMaxWindowBits = "client_max_window_bits";
constexpr int kMaxWindowBits = 15;

// One line, read from the left. White space is let through between any two elements (RFC 9110 5.6.3).
class Scanner {
 public:
  explicit Scanner(std::string_view line) : left_(base::trim_ows(line)) {}

  bool at_end() const { return left_.empty(); }
  bool take(char c) {
    if (!left_.starts_with(c)) return false;
    drop(1);
    return true;
  }
  // "" where there is none.
  std::string_view token() {
    std::string_view token = left_.substr(0, token_size());
    drop(token.size());
    return token;
  }
  // A token, or a quoted string that is one behind its quotes and backslashes; false where it is neither.
  bool value(std::string& value) {
    value.clear();
    if (!left_.starts_with('"')) {
      value = token();
      return !value.empty();
    }
    std::size_t at = 1;
    for (; at < left_.size() && left_[at] != '"'; ++at) {
      if (left_[at] == '\\') ++at;
      if (at == left_.size()) return false;
      value += left_[at];
    }
    if (at == left_.size()) return false;
    drop(at + 1);
    // RFC 6455 9.1: "the value after quoted-string unescaping MUST conform to the 'token' ABNF".
    return base::is_token(value);
  }

 private:
  std::size_t token_size() const {
    return static_cast<std::size_t>(std::find_if_not(left_.begin(), left_.end(), base::is_tchar) -
                                    left_.begin());
  }
  void drop(std::size_t count) {
    left_.remove_prefix(count);
    while (left_.starts_with(' ') || left_.starts_with('\t')) left_.remove_prefix(1);
  }

  std::string_view left_;
};

// RFC 7692 7.1.2: "a decimal integer value without leading zeroes between 8 to 15 inclusive". 0: it is none.
int read_window_bits(std::string_view text) {
  if (text == "8" || text == "9") return text[0] - '0';
  if (text.size() != 2 || text[0] != '1' || text[1] < '0' || text[1] > '5') return 0;
  return 10 + (text[1] - '0');
}

// One offer. A parameter that is unknown, invalid or there twice makes it one to decline (RFC 7692 7.1).
class Offer {
 public:
  void add(std::string_view name, std::optional<std::string_view> value) {
    if (name == kServerNoContextTakeover) {
      add_flag(server_no_context_takeover_, value);
    } else if (name == kClientNoContextTakeover) {
      add_flag(client_no_context_takeover_, value);
    } else if (name == kServerMaxWindowBits) {
      add_bits(server_max_window_bits_, value);
    } else if (name == kClientMaxWindowBits) {
      // 7.1.2.2: without a value the client only says that it knows the parameter.
      add_bits(client_max_window_bits_, value.value_or("15"));
    } else {
      valid_ = false;
    }
  }

  std::optional<DeflateParameters> accept(const base::WebSocketSettings& settings) const {
    // 7.1.2.1: a server declines what it does not support, and zlib deflates with no window of 2^8.
    if (!valid_ || server_max_window_bits_ == 8) return std::nullopt;
    DeflateParameters agreed;
    // 7.1.1.1: what was offered must be accepted with the offer. 7.1.1.2: a client that offers it does
    // without in any case; to say so lets both sides forget.
    agreed.server_no_context_takeover = server_no_context_takeover_ || settings.server_no_context_takeover;
    agreed.client_no_context_takeover = client_no_context_takeover_ || settings.client_no_context_takeover;
    agreed.server_max_window_bits =
        std::min(server_max_window_bits_.value_or(kMaxWindowBits), settings.server_max_window_bits);
    // 7.1.2.2: a client that has not offered it must not be told one, and may use the largest window.
    if (client_max_window_bits_) {
      agreed.client_max_window_bits = std::min(*client_max_window_bits_, settings.client_max_window_bits);
    }
    return agreed;
  }

  bool has_server_max_window_bits() const { return server_max_window_bits_.has_value(); }

 private:
  void add_flag(bool& flag, std::optional<std::string_view> value) {
    valid_ = valid_ && !flag && !value;
    flag = true;
  }
  void add_bits(std::optional<int>& bits, std::optional<std::string_view> value) {
    const int read = read_window_bits(value.value_or(""));
    valid_ = valid_ && !bits && read != 0;
    bits = read;
  }

  bool valid_ = true;
  bool server_no_context_takeover_ = false;
  bool client_no_context_takeover_ = false;
  std::optional<int> server_max_window_bits_;
  std::optional<int> client_max_window_bits_;
};

std::string response(const DeflateParameters& agreed, const Offer& offer) {
  std::string text(kExtension);
  auto add = [&text](std::string_view name) { text.append("; ").append(name); };
  auto add_bits = [&](std::string_view name, int bits) {
    add(name);
    text += '=';
    base::append_decimal(text, static_cast<std::uint64_t>(bits));
  };
  if (agreed.server_no_context_takeover) add(kServerNoContextTakeover);
  if (agreed.client_no_context_takeover) add(kClientNoContextTakeover);
  // 7.1.2.1: an offer with this parameter is accepted by naming it. Unasked it may be named too, and lets
  // the client have a small window.
  if (offer.has_server_max_window_bits() || agreed.server_max_window_bits < kMaxWindowBits) {
    add_bits(kServerMaxWindowBits, agreed.server_max_window_bits);
  }
  if (agreed.client_max_window_bits < kMaxWindowBits) {
    add_bits(kClientMaxWindowBits, agreed.client_max_window_bits);
  }
  return text;
}

// extension = extension-token *( ";" extension-param ), extension-param = token [ "=" value ].
// False where the syntax is broken.
bool read_extension(Scanner& scanner, std::string_view& name, Offer& offer) {
  name = scanner.token();
  if (name.empty()) return false;
  std::string value;
  while (scanner.take(';')) {
    const std::string_view parameter = scanner.token();
    const bool has_value = scanner.take('=');
    if (parameter.empty() || (has_value && !scanner.value(value))) return false;
    offer.add(parameter, has_value ? std::optional<std::string_view>(value) : std::nullopt);
  }
  return scanner.at_end() || scanner.take(',');
}

}  // namespace

std::optional<Agreement> agree_on_deflate(std::span<const std::string_view> offers,
                                          const base::WebSocketSettings& settings) {
  if (!settings.deflate) return std::nullopt;
  std::optional<Agreement> agreement;
  for (std::string_view line : offers) {
    Scanner scanner(line);
    while (!scanner.at_end()) {
      if (scanner.take(',')) continue;  // RFC 9110 5.6.1.2: empty elements are ignored
      Offer offer;
      std::string_view name;
      if (!read_extension(scanner, name, offer)) return std::nullopt;
      if (agreement || name != kExtension) continue;
      std::optional<DeflateParameters> agreed = offer.accept(settings);
      if (agreed) agreement = Agreement{*agreed, response(*agreed, offer)};
    }
  }
  return agreement;
}

}  // namespace fasterapi::websocket
