#include "asgi/scope.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "server/base/uri.h"

namespace fasterapi::asgi {

namespace {

// Names beyond the common ones that are remembered; a client that invents names gains nothing.
constexpr std::size_t kMaxHeaderNames = 512;
constexpr std::size_t kMaxNameLength = 64;

// Paths and values longer than this are not worth remembering.
constexpr std::size_t kMaxRemembered = 192;

// Headers whose value many requests share and that carry no secret of a client.
constexpr std::string_view kSharedHeaders[] = {"accept",
                                               "accept-encoding",
                                               "accept-language",
                                               "cache-control",
                                               "connection",
                                               "content-type",
                                               "host",
                                               "sec-ch-ua",
                                               "sec-ch-ua-mobile",
                                               "sec-ch-ua-platform",
                                               "sec-fetch-dest",
                                               "sec-fetch-mode",
                                               "sec-fetch-site",
                                               "upgrade-insecure-requests",
                                               "user-agent"};

bool is_shared(std::string_view name) {
  return std::find(std::begin(kSharedHeaders), std::end(kSharedHeaders), name) != std::end(kSharedHeaders);
}

// The (host, port) pairs of a connection, made once for all of its requests.
class Addresses final : public connection::Annotation {
 public:
  Ref client;
  Ref server;
};

// "(host, port)", "(path, None)" for a Unix socket, None when unknown.
Ref pair_of(const net::Address& address) {
  if (address.family == net::Address::Family::kNone) return Ref::share(Py_None);
  Ref host = Ref::steal(
      PyUnicode_DecodeFSDefaultAndSize(address.host.data(), static_cast<Py_ssize_t>(address.host.size())));
  bool is_unix = address.family == net::Address::Family::kUnix;
  Ref port = is_unix ? Ref::share(Py_None) : Ref::steal(PyLong_FromLong(address.port));
  if (!host || !port) return Ref();
  return Ref::steal(PyTuple_Pack(2, host.get(), port.get()));
}

bool put(PyObject* scope, PyObject* key, const Ref& value) {
  return value && PyDict_SetItem(scope, key, value.get()) == 0;
}

#if PY_VERSION_HEX < 0x030C0000
// PEP 509: every change gives a dictionary a tag that none had before.
std::uint64_t tag_of(const Ref& dict) { return reinterpret_cast<PyDictObject*>(dict.get())->ma_version_tag; }
#else
// `dict` has these entries, as they were put there, and no others.
bool holds(PyObject* dict, std::initializer_list<std::pair<PyObject*, PyObject*>> entries) {
  Py_ssize_t position = 0;
  PyObject *key = nullptr, *value = nullptr;
  if (PyDict_GET_SIZE(dict) != static_cast<Py_ssize_t>(entries.size())) return false;
  for (const auto& entry : entries) {
    if (PyDict_Next(dict, &position, &key, &value) == 0 || key != entry.first || value != entry.second)
      return false;
  }
  return true;
}
#endif

}  // namespace

bool ScopeBuilder::prepare(std::string root_path, PyObject* state) {
  root_path_ = std::move(root_path);
  state_ = Ref::share(state == Py_None ? nullptr : state);
  const Names& names = module_.names;
  version_ = to_str("3.0");
  spec_version_ = to_str("2.5");
  prototype_ = Ref::steal(PyDict_New());
  Ref root = to_str(root_path_);
  if (!version_ || !spec_version_ || !prototype_ || !root) return false;
  PyObject* scope = prototype_.get();
  auto share = [](PyObject* object) { return Ref::share(object); };
  // Every key of a finished scope, so that filling in a copy never makes it grow.
  return put(scope, names.type, share(names.http)) && put(scope, names.asgi, share(Py_None)) &&
         put(scope, names.http_version, share(names.http_1_1)) && put(scope, names.server, share(Py_None)) &&
         put(scope, names.client, share(Py_None)) && put(scope, names.scheme, share(names.http)) &&
         put(scope, names.method, method("GET")) && put(scope, names.root_path, root) &&
         put(scope, names.path, share(Py_None)) && put(scope, names.raw_path, share(Py_None)) &&
         put(scope, names.query_string, module_.empty_bytes) && put(scope, names.headers, share(Py_None)) &&
         put(scope, names.extensions, share(Py_None)) && (!state_ || put(scope, names.state, share(Py_None)));
}

Ref ScopeBuilder::build(const base::RequestHead& head, connection::Origin& origin,
                        const connection::Forwarded* forwarded) {
  const Names& names = module_.names;
  if (!server_ && !learn_server(origin.local)) return Ref();
  Ref scope = begin(head);
  if (!scope) return Ref();
  PyObject* dict = scope.get();
  if ((head.method != "GET" && !put(dict, names.method, method(head.method))) ||
      !put_addresses(dict, origin) || !put(dict, names.headers, headers(head))) {
    return Ref();
  }
  if (forwarded != nullptr && !put_forwarded(dict, *forwarded)) return Ref();
  // RFC 9112 7.1.2: trailers are of chunked messages, which HTTP/1.0 does not have.
  if (head.version.minor == 0 && (PyDict_SetItem(dict, names.http_version, names.http_1_0) != 0 ||
                                  PyDict_DelItem(dict, names.extensions) != 0)) {
    return Ref();
  }
  if (state_ && !put(dict, names.state,
                     PyDict_CheckExact(state_.get()) ? Ref::steal(PyDict_Copy(state_.get()))
                                                     : call_method(state_.get(), names.copy))) {
    return Ref();
  }
  return scope;
}

Ref ScopeBuilder::build_websocket(const base::RequestHead& head, connection::Exchange& exchange,
                                  PyObject* socket) {
  const Names& names = module_.names;
  Ref scope = build(head, exchange.origin(), exchange.forwarded());
  if (!scope) return Ref();
  PyObject* dict = scope.get();
  const bool tls = PyDict_GetItemWithError(dict, names.scheme) == names.https;
  Ref subprotocols = Ref::steal(PyList_New(0));
  for (std::string_view subprotocol : exchange.handshake()->subprotocols) {
    Ref text = to_str(subprotocol);
    if (!subprotocols || !text || PyList_Append(subprotocols.get(), text.get()) != 0) return Ref();
  }
  Ref extensions = Ref::steal(PyDict_New());
  Ref ours = Ref::steal(PyDict_New());
  if (!extensions || !put(ours.get(), names.socket, Ref::share(socket)) ||
      !put(extensions.get(), names.websocket_response, Ref::steal(PyDict_New())) ||
      !put(extensions.get(), names.websocket_extension, ours) ||
      !put(dict, names.subprotocols, subprotocols) || !put(dict, names.extensions, extensions) ||
      PyDict_DelItem(dict, names.method) != 0 || PyDict_SetItem(dict, names.type, names.websocket) != 0 ||
      PyDict_SetItem(dict, names.scheme, tls ? names.wss : names.ws) != 0) {
    return Ref();
  }
  return scope;
}

// What many requests are given is made anew once an application has changed it.
bool ScopeBuilder::renew_shared() {
  const Names& names = module_.names;
  if (asgi_ && extensions_ && shared_is_intact()) return true;
  paths_.clear();
  asgi_ = Ref::steal(PyDict_New());
  plain_ = Ref::steal(PyDict_New());
  extensions_ = Ref::steal(PyDict_New());
  if (!asgi_ || !plain_ || !extensions_ || !put(asgi_.get(), names.version, version_) ||
      !put(asgi_.get(), names.spec_version, spec_version_) ||
      !put(extensions_.get(), names.http_trailers, plain_) ||
      !put(extensions_.get(), names.event_stream, plain_)) {
    return false;
  }
#if PY_VERSION_HEX < 0x030C0000
  tags_ = {tag_of(asgi_), tag_of(plain_), tag_of(extensions_)};
#endif
  return put(prototype_.get(), names.asgi, asgi_) && put(prototype_.get(), names.extensions, extensions_);
}

bool ScopeBuilder::shared_is_intact() const {
#if PY_VERSION_HEX < 0x030C0000
  return tag_of(asgi_) == tags_[0] && tag_of(plain_) == tags_[1] && tag_of(extensions_) == tags_[2];
#else
  const Names& names = module_.names;
  return holds(asgi_.get(), {{names.version, version_.get()}, {names.spec_version, spec_version_.get()}}) &&
         holds(extensions_.get(),
               {{names.http_trailers, plain_.get()}, {names.event_stream, plain_.get()}}) &&
         PyDict_GET_SIZE(plain_.get()) == 0;
#endif
}

// The scope as far as the target tells it.
Ref ScopeBuilder::begin(const base::RequestHead& head) {
  if (!renew_shared()) return Ref();
  Ref scope = begin_at(head.path);
  if (!scope || head.query.empty()) return scope;
  return put(scope.get(), module_.names.query_string, to_bytes(head.query)) ? scope : Ref();
}

Ref ScopeBuilder::begin_at(std::string_view raw) {
  const Names& names = module_.names;
  auto& recent = paths_.slot(raw);
  if (recent.value && recent.key == raw) return Ref::steal(PyDict_Copy(recent.value.get()));
  Ref scope = Ref::steal(PyDict_Copy(prototype_.get()));
  if (!scope || !put(scope.get(), names.path, path(raw)) ||
      !put(scope.get(), names.raw_path,
           root_path_.empty() ? to_bytes(raw) : to_bytes(std::string(root_path_).append(raw)))) {
    return Ref();
  }
  if (raw.size() > kMaxRemembered) return scope;
  Ref copy = Ref::steal(PyDict_Copy(scope.get()));
  if (!copy) return Ref();
  recent = {std::string(raw), std::move(copy)};
  return scope;
}

// Percent-decoded, then read as UTF-8 with U+FFFD for what is none (ASGI: path is a str).
Ref ScopeBuilder::path(std::string_view raw) {
  if (base::percent_decode(raw, decoded_)) raw = decoded_;
  std::string whole;
  if (!root_path_.empty()) raw = whole = std::string(root_path_).append(raw);
  return Ref::steal(PyUnicode_DecodeUTF8(raw.data(), static_cast<Py_ssize_t>(raw.size()), "replace"));
}

bool ScopeBuilder::put_addresses(PyObject* scope, connection::Origin& origin) {
  auto* addresses = static_cast<Addresses*>(origin.annotation.get());
  if (addresses == nullptr) {
    auto made = std::make_unique<Addresses>();
    made->client = pair_of(origin.peer);
    made->server = server_ && origin.local == server_address_ ? server_ : pair_of(origin.local);
    if (!made->client || !made->server) return false;
    addresses = made.get();
    origin.annotation = std::move(made);
  }
  return put(scope, module_.names.client, addresses->client) &&
         (addresses->server.get() == server_.get() || put(scope, module_.names.server, addresses->server));
}

// What most connections have for "server" is in the prototype: the first one's.
bool ScopeBuilder::learn_server(const net::Address& local) {
  server_ = pair_of(local);
  server_address_ = local;
  return put(prototype_.get(), module_.names.server, server_);
}

bool ScopeBuilder::put_forwarded(PyObject* scope, const connection::Forwarded& forwarded) {
  const Names& names = module_.names;
  if (forwarded.protection != connection::Protection::kUnknown) {
    bool tls = forwarded.protection == connection::Protection::kTls;
    if (PyDict_SetItem(scope, names.scheme, tls ? names.https : names.http) != 0) return false;
  }
  bool known = forwarded.client.family != net::Address::Family::kNone;
  return !known || put(scope, names.client, pair_of(forwarded.client));
}

// Upper case, as ASGI has it, although RFC 9110 9.1 makes methods case-sensitive.
Ref ScopeBuilder::method(std::string_view method) {
  auto known = module_.methods.find(method);
  if (known != module_.methods.end()) return Ref::share(known->second);
  std::string upper(method);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return to_str(upper);
}

Ref ScopeBuilder::header_name(std::string_view name) {
  auto known = module_.header_names.find(name);
  if (known != module_.header_names.end()) return Ref::share(known->second);
  Ref bytes = to_bytes(name);
  if (bytes && name.size() <= kMaxNameLength && module_.header_names.size() < kMaxHeaderNames) {
    module_.header_names.emplace(bytes_view(bytes.get()), Py_NewRef(bytes.get()));
  }
  return bytes;
}

// A (name, value) pair of bytes.
Ref ScopeBuilder::header(const base::Header& header) {
  auto& recent = headers_.slot(header.value);
  bool known = recent.value && recent.key.size() == header.name.size() + 1 + header.value.size() &&
               recent.key.starts_with(header.name) && recent.key[header.name.size()] == '\0' &&
               recent.key.ends_with(header.value);
  if (known) return recent.value;
  Ref name = header_name(header.name);
  Ref value = to_bytes(header.value);
  Ref pair = name && value ? Ref::steal(PyTuple_Pack(2, name.get(), value.get())) : Ref();
  if (pair && header.value.size() <= kMaxRemembered && is_shared(header.name)) {
    recent.key.assign(header.name).append(1, '\0').append(header.value);
    recent.value = pair;
  }
  return pair;
}

Ref ScopeBuilder::headers(const base::RequestHead& head) {
  Ref list = Ref::steal(PyList_New(static_cast<Py_ssize_t>(head.headers.size())));
  for (std::size_t i = 0; list && i < head.headers.size(); ++i) {
    Ref pair = header(head.headers[i]);
    if (!pair) return Ref();
    PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), pair.release());
  }
  return list;
}

int ScopeBuilder::traverse(visitproc visit, void* arg) {
  Py_VISIT(prototype_.get());
  Py_VISIT(state_.get());
  Py_VISIT(asgi_.get());  // the application may have put anything into these
  Py_VISIT(plain_.get());
  Py_VISIT(extensions_.get());
  return paths_.traverse(visit, arg);
}

void ScopeBuilder::clear() {
  prototype_.reset();
  state_.reset();
  asgi_.reset();
  server_.reset();
  plain_.reset();
  extensions_.reset();
  paths_.clear();
  headers_.clear();
}

}  // namespace fasterapi::asgi
