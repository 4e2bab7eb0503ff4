// Checked reading of what an application gives to send(). A wrong message becomes a Python
// exception that names the key; nothing is written for it.
#pragma once

#include <string_view>
#include <vector>

#include "asgi/module.h"
#include "server/base/message.h"

namespace fasterapi::asgi {

// Field names and values of one message: views into bytes objects that this object keeps alive, or that
// `headers` does as long as no Python code runs. Reused between messages, so that reading one allocates
// nothing.
class HeaderList {
 public:
  // `headers`: an iterable of two-item iterables of bytes. False with an error set.
  bool read(PyObject* headers);
  std::span<const base::Header> view() const { return headers_; }
  void clear();  // an error that is set stays

 private:
  bool read_plain(PyObject* headers);
  bool read_pair(PyObject* pair);
  bool read_bytes(PyObject* object, const char* what, std::string_view& view);

  std::vector<base::Header> headers_;
  std::vector<Ref> kept_;
};

enum class MessageType : unsigned char { kStart, kBody, kTrailers, kUnknown };

// The entries of one ASGI message that the server knows; null where absent. Borrowed: good until Python
// code runs.
struct Message {
  MessageType kind = MessageType::kUnknown;
  PyObject* type = nullptr;
  PyObject* status = nullptr;
  PyObject* headers = nullptr;
  PyObject* body = nullptr;
  PyObject* more_body = nullptr;
  Ref copy;  // of a message with other entries
};

// False with an error set (TypeError: no dict, or no "type" of type str).
bool read_message(Module& module, PyObject* object, Message& message);

struct BodyMessage {
  Ref body;  // bytes
  base::Last last = base::Last::kYes;
};

// False with an error set.
// `trailers`: the message announces some.
bool read_start(Module& module, const Message& message, int& status, HeaderList& headers, bool& trailers);
bool read_trailers(Module& module, const Message& message, HeaderList& headers, base::Last& last);
bool read_body(Module& module, const Message& message, BodyMessage& body);

}  // namespace fasterapi::asgi
