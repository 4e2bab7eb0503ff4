// Checked reading of what an application gives to send(). A wrong message becomes a Python
// exception that names the key; nothing is written for it.
#pragma once

#include <string_view>
#include <vector>

#include "asgi/module.h"
#include "server/base/message.h"

namespace fasterapi::asgi {

// Field names and values of one message: views into bytes objects that this object keeps alive.
// Reused between messages, so that reading one allocates nothing.
class HeaderList {
 public:
  // `headers`: an iterable of two-item iterables of bytes. False with an error set.
  bool read(PyObject* headers);
  std::span<const base::Header> view() const { return headers_; }
  void clear();

 private:
  bool read_pair(PyObject* pair);
  bool read_bytes(PyObject* object, const char* what, std::string_view& view);

  std::vector<base::Header> headers_;
  std::vector<Ref> kept_;
};

enum class MessageType : unsigned char { kStart, kBody, kUnknown };

// The entries of one ASGI message that the server knows; null where absent.
struct Message {
  MessageType kind = MessageType::kUnknown;
  Ref type;
  Ref status;
  Ref headers;
  Ref body;
  Ref more_body;
};

// False with an error set (TypeError: no dict, or no "type" of type str).
bool read_message(Module& module, PyObject* object, Message& message);

struct BodyMessage {
  Ref body;  // bytes
  base::Last last = base::Last::kYes;
};

// False with an error set.
bool read_start(const Message& message, int& status, HeaderList& headers);
bool read_body(Module& module, const Message& message, BodyMessage& body);

}  // namespace fasterapi::asgi
