// Builds the scope of an HTTP request or a WebSocket (ASGI HTTP and WebSocket 2.5) from the request's head.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "asgi/module.h"
#include "server/base/message.h"
#include "server/connection/exchange.h"

namespace fasterapi::asgi {

// Immutable objects made for earlier requests, to be given again: most requests repeat what others
// had. Direct-mapped, so its memory is bounded and a look-up is one hash and one comparison.
template <std::size_t kSlots>
class Recent {
 public:
  struct Entry {
    std::string key;
    Ref value;
  };
  Entry& slot(std::string_view key) { return entries_[std::hash<std::string_view>()(key) % kSlots]; }
  void clear() { entries_ = {}; }
  int traverse(visitproc visit, void* arg) {
    for (Entry& entry : entries_) Py_VISIT(entry.value.get());
    return 0;
  }

 private:
  std::array<Entry, kSlots> entries_;
};

class ScopeBuilder {
 public:
  explicit ScopeBuilder(Module& module) : module_(module) {}

  // Makes the dictionary that every scope starts as a copy of. `state` null: no such key.
  // False with an error set.
  bool prepare(std::string root_path, PyObject* state);
  // A new scope. `forwarded`: what a trusted proxy says, or null. Null with an error set.
  Ref build(const base::RequestHead& head, connection::Origin& origin,
            const connection::Forwarded* forwarded);
  // That of a WebSocket (ASGI WebSocket 2.5); `socket`: what the extension fasterapi.websocket has.
  Ref build_websocket(const base::RequestHead& head, connection::Exchange& exchange, PyObject* socket);
  int traverse(visitproc visit, void* arg);
  void clear();

 private:
  bool renew_shared();
  bool shared_is_intact() const;
  Ref begin(const base::RequestHead& head);
  Ref begin_at(std::string_view raw_path);
  bool learn_server(const net::Address& local);
  bool put_addresses(PyObject* scope, connection::Origin& origin);
  bool put_forwarded(PyObject* scope, const connection::Forwarded& forwarded);
  Ref method(std::string_view method);
  Ref headers(const base::RequestHead& head);
  Ref header(const base::Header& header);
  Ref header_name(std::string_view name);
  Ref path(std::string_view raw);

  Module& module_;
  Ref prototype_;
  Ref version_;
  Ref spec_version_;
  Ref asgi_;
  Ref plain_;  // {}: what extensions_ says of each
  Ref extensions_;
#if PY_VERSION_HEX < 0x030C0000
  std::array<std::uint64_t, 3> tags_{};  // of these three as they were made
#endif
  Ref state_;
  net::Address server_address_;
  Ref server_;
  Recent<64> paths_;     // raw path -> a scope with all that depends on nothing else
  Recent<128> headers_;  // "name\0value" -> the pair
  std::string root_path_;
  std::string decoded_;
};

}  // namespace fasterapi::asgi
