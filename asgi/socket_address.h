// Socket addresses as Python's socket module shows them. Without state.
#pragma once

#include <sys/socket.h>

#include "asgi/python.h"

namespace fasterapi::asgi {

// Internet: (host, port[, flow information, scope]); Unix: a path, or bytes for an abstract name. Null
// without an error for other families, with one where there is no memory.
Ref to_address(const sockaddr_storage& storage, socklen_t size);

}  // namespace fasterapi::asgi
