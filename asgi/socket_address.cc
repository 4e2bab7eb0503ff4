#include "asgi/socket_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <string_view>

namespace fasterapi::asgi {

namespace {

Ref unix_address(const sockaddr_storage& storage, socklen_t size) {
  const auto* address = reinterpret_cast<const sockaddr_un*>(&storage);
  constexpr socklen_t kBegin = offsetof(sockaddr_un, sun_path);
  std::string_view path(address->sun_path, size > kBegin ? size - kBegin : 0);
  if (!path.empty() && path[0] == '\0') return to_bytes(path);
  path = path.substr(0, path.find('\0'));
  return Ref::steal(PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size())));
}

}  // namespace

Ref to_address(const sockaddr_storage& storage, socklen_t size) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto* address = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size());
    return Ref::steal(Py_BuildValue("(si)", text.data(), int{ntohs(address->sin_port)}));
  }
  if (storage.ss_family == AF_INET6) {
    const auto* address = reinterpret_cast<const sockaddr_in6*>(&storage);
    inet_ntop(AF_INET6, &address->sin6_addr, text.data(), text.size());
    return Ref::steal(Py_BuildValue("(siII)", text.data(), int{ntohs(address->sin6_port)},
                                    ntohl(address->sin6_flowinfo), address->sin6_scope_id));
  }
  return storage.ss_family == AF_UNIX ? unix_address(storage, size) : Ref();
}

}  // namespace fasterapi::asgi
