#include "server/websocket/handshake.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <cstdint>

#include "server/base/bytes.h"

namespace fasterapi::websocket {

namespace {

using base::Failure;
using base::Result;

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 1.3

bool is_base64(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

// RFC 6455 4.2.1: "a base64-encoded value that, when decoded, is 16 bytes in length". The last character
// before the padding has two bits of them, and the other four are zero (RFC 4648 3.5).
bool is_key(std::string_view key) {
  constexpr std::size_t kCharacters = 22;
  if (key.size() != kCharacters + 2 || !key.ends_with("==")) return false;
  for (char c : key.substr(0, kCharacters)) {
    if (!is_base64(c)) return false;
  }
  return std::string_view("AQgw").find(key[kCharacters - 1]) != std::string_view::npos;
}

// RFC 6455 4.2.2 5.4; "" where OpenSSL has no SHA-1.
std::string accept_of(std::string_view key) {
  std::string text(key);
  text += kGuid;
  unsigned char digest[SHA_DIGEST_LENGTH];
  if (SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest) == nullptr) return {};
  std::string accept(4 * ((SHA_DIGEST_LENGTH + 2) / 3) + 1, '\0');  // and the NUL that it writes
  int written = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(accept.data()), digest, SHA_DIGEST_LENGTH);
  accept.resize(static_cast<std::size_t>(written));
  return accept;
}

// The handshake's own fields, as they came.
struct Fields {
  std::string_view version;
  std::string_view key;
  unsigned versions = 0;
  unsigned keys = 0;
  unsigned hosts = 0;
  unsigned origins = 0;
  bool bad_subprotocol = false;
  Handshake handshake;

  void see(const base::Header& header);
  void see_subprotocols(std::string_view list);
};

void Fields::see_subprotocols(std::string_view list) {
  base::for_each_element(list, [this](std::string_view element) {
    if (element.empty()) return;
    bad_subprotocol |= !base::is_token(element);
    handshake.subprotocols.push_back(element);
  });
}

void Fields::see(const base::Header& header) {
  if (header.name == "host") {
    ++hosts;
  } else if (header.name == "origin") {
    ++origins;
    handshake.origin = header.value;
  } else if (header.name == "sec-websocket-version") {
    ++versions;
    version = header.value;
  } else if (header.name == "sec-websocket-key") {
    ++keys;
    key = header.value;
  } else if (header.name == "sec-websocket-protocol") {
    see_subprotocols(header.value);
  } else if (header.name == "sec-websocket-extensions") {
    handshake.extensions.push_back(header.value);
  }
}

}  // namespace

bool is_requested(const base::RequestHead& head) {
  // RFC 6455 4.1: "HTTP version MUST be at least 1.1".
  if (head.version.major < 1 || (head.version.major == 1 && head.version.minor < 1)) return false;
  bool upgrades = false;
  bool to_websocket = false;
  for (const base::Header& header : head.headers) {
    if (header.name == "upgrade") to_websocket |= base::list_has_token(header.value, "websocket");
    if (header.name == "connection") upgrades |= base::list_has_token(header.value, "upgrade");
  }
  return upgrades && to_websocket;
}

Result<Handshake> read_handshake(const base::RequestHead& head) {
  Fields fields;
  for (const base::Header& header : head.headers) fields.see(header);
  // RFC 6455 4.4: a version that the server does not speak is answered with those that it does, whatever
  // else that version would have had.
  if (fields.versions == 0 || fields.version != "13") return Failure{426, "websocket version is not 13"};
  // RFC 6455 11.3.5: the version "MUST NOT appear more than once in an HTTP request".
  if (fields.versions > 1) return Failure{400, "two websocket versions"};
  // RFC 6455 4.1: "The method of the request MUST be GET".
  if (head.method != "GET") return Failure{400, "websocket handshake is no GET"};
  // What follows the head is frames; a body could be taken for them, by us or by a proxy before us.
  if (head.has_body) return Failure{400, "websocket handshake with a body"};
  if (fields.hosts != 1) return Failure{400, "websocket handshake without one host"};
  // RFC 6455 11.3.1: the key "MUST NOT appear more than once in an HTTP request".
  if (fields.keys != 1 || !is_key(fields.key)) return Failure{400, "bad websocket key"};
  // An allow-list must judge the origin that the application sees.
  if (fields.origins > 1) return Failure{400, "two origins"};
  // RFC 6455 4.1: elements of the subprotocols "MUST be non-empty strings" of a token's characters.
  if (fields.bad_subprotocol) return Failure{400, "bad websocket subprotocol"};
  fields.handshake.accept = accept_of(fields.key);
  if (fields.handshake.accept.empty()) return Failure{500, "no SHA-1"};
  return std::move(fields.handshake);
}

}  // namespace fasterapi::websocket
