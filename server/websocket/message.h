// A message's kind, and the memory that a receiver may give for its bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace fasterapi::websocket {

// What a data frame's opcode says of a message (RFC 6455 5.6).
enum class MessageKind : std::uint8_t { kText, kBinary };

// The receiver's own memory for one large binary message, which so reaches it without a copy.
class MessageBuffer {
 public:
  virtual ~MessageBuffer() = default;
  // Room for so many bytes, of which those that were there before stay. Null: there is no memory.
  virtual char* resize(std::size_t size) = 0;
};

class MessageBuffers {
 public:
  virtual std::unique_ptr<MessageBuffer> make() = 0;  // null: none, the codec has its own

 protected:
  ~MessageBuffers() = default;
};

}  // namespace fasterapi::websocket
