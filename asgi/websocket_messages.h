// Checked reading of what an application gives to send() on a WebSocket (ASGI WebSocket 2.5). A wrong
// message becomes a Python exception that names the key; nothing is written for it.
#pragma once

#include <cstdint>
#include <string_view>

#include "asgi/messages.h"
#include "asgi/module.h"
#include "server/websocket/codec.h"
#include "server/websocket/message.h"

namespace fasterapi::asgi {

enum class SocketMessageType : unsigned char {
  kAccept,
  kSend,
  kClose,
  kResponseStart,
  kResponseBody,
  kUnknown
};

// The entries of one message; null where absent. Borrowed: good until Python code runs.
struct SocketMessage {
  SocketMessageType kind = SocketMessageType::kUnknown;
  PyObject* type = nullptr;
  PyObject* text = nullptr;
  PyObject* bytes = nullptr;
  PyObject* compress = nullptr;
  PyObject* code = nullptr;
  PyObject* reason = nullptr;
  PyObject* subprotocol = nullptr;
  PyObject* headers = nullptr;
  PyObject* status = nullptr;
  PyObject* body = nullptr;
  PyObject* more_body = nullptr;
  Ref copy;  // of a message with other entries
};

// False with an error set (TypeError: no dict, or no "type" of type str).
bool read_socket_message(Module& module, PyObject* object, SocketMessage& message);

// A message's payload: a view into `owner`, a str or bytes object that is never changed.
struct Payload {
  websocket::MessageKind kind = websocket::MessageKind::kText;
  std::string_view bytes;
  Ref owner;
  websocket::Compress compress = websocket::Compress::kAuto;
};

// False with an error set. `text`, `bytes`: exactly one is neither null nor None.
bool read_payload(PyObject* text, PyObject* bytes, PyObject* compress, Payload& payload);

struct CloseMessage {
  std::uint16_t code = 1000;
  std::string_view reason;
  Ref owner;  // of the reason
};

bool read_close(const SocketMessage& message, CloseMessage& close);

struct AcceptMessage {
  std::string_view subprotocol;
  Ref owner;  // of the subprotocol
  HeaderList headers;
};

bool read_accept(const SocketMessage& message, AcceptMessage& accept);

}  // namespace fasterapi::asgi
