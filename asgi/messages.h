// Checked reading of what an application gives to send(). A wrong message becomes a Python
// exception that names the key; nothing is written for it.
#pragma once

#include <span>
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

// An entry of a message, and where its value goes; null where the message has none.
struct Entry {
  PyObject* name;
  PyObject** value;
};

// Looks the entries up in a copy of `message`, which keeps the values: the look-ups may run the code of a
// strange key's __eq__. False with an error set.
bool look_up(PyObject* message, std::span<const Entry> entries, Ref& copy);

// Whether `text` is this one. For short constant texts.
bool is_text(PyObject* text, std::string_view expected);

// A body or a binary payload as exact bytes: `object` itself, or a copy of any other object with bytes in
// it. Null with an error set: `what` must be bytes.
Ref exact_bytes(PyObject* object, const char* what);

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
