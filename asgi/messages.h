// Checked reading of what an application gives to send(). A wrong message becomes a Python
// exception that names the key; nothing is written for it.
#pragma once

#include <string_view>
#include <vector>

#include "asgi/module.h"
#include "server/base/message.h"

namespace fasterapi::asgi {

enum class MessageType : unsigned char { kStart, kBody, kUnknown };

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

// The "type" of a message. False with an error set (TypeError: no dict, or no str "type").
bool read_type(Module& module, PyObject* message, MessageType& type);

struct BodyMessage {
  Ref body;  // bytes
  base::Last last = base::Last::kYes;
};

// False with an error set.
bool read_start(Module& module, PyObject* message, int& status, HeaderList& headers);
bool read_body(Module& module, PyObject* message, BodyMessage& body);

}  // namespace fasterapi::asgi
