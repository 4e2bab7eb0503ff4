// permessage-deflate's compression (RFC 7692 7.2): one message in, one message out; ISA-L deflates, zlib
// inflates.
//
// What they work with is large and only needed while there is something to do. It belongs to the server's
// DeflatePool: one compressor, and inflaters, which are lent for a message. A connection keeps for itself
// only what later messages may refer to: of what was received the agreed window, of what was sent the end.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/message.h"
#include "server/base/settings.h"
#include "server/websocket/compressor.h"
#include "server/websocket/deflate_offer.h"

namespace fasterapi::websocket {

// What deflates and inflates, used in turn, and the buffer that zlib writes to. Outlives every
// MessageDeflate that it lends to.
class DeflatePool {
 public:
  class Inflater;
  // Gives an inflater back. Beyond kMaxSpares it is freed.
  struct Return {
    DeflatePool* pool = nullptr;
    void operator()(Inflater* inflater) const { pool->put(inflater); }
  };
  using LentInflater = std::unique_ptr<Inflater, Return>;

  // A message is inflated at once, so a few spare inflaters serve any number of connections.
  static constexpr std::size_t kMaxSpares = 8;
  // zlib writes pieces of this size: one stays in the first-level cache, and bounds what is held beyond a
  // limit.
  static constexpr std::size_t kSlice = 16 * 1024;

  DeflatePool();
  ~DeflatePool();
  DeflatePool(const DeflatePool&) = delete;
  DeflatePool& operator=(const DeflatePool&) = delete;

  Compressor& compressor() { return compressor_; }
  // One that has seen nothing. Null: zlib has no memory, or no such window.
  LentInflater inflater(int window_bits);
  // Where zlib writes to; what is in it is the caller's until he calls anything else.
  std::array<char, kSlice>& slice() { return slice_; }
  // Bytes that zlib holds, in inflaters that are lent and that are spare.
  std::size_t zlib_bytes() const { return zlib_bytes_; }

 private:
  static void* allocate(void* pool, unsigned count, unsigned size);
  static void release(void* pool, void* block);
  void put(Inflater* inflater);

  Compressor compressor_;
  std::size_t zlib_bytes_ = 0;
  std::vector<std::unique_ptr<Inflater>> inflaters_;
  std::array<char, kSlice> slice_;
};

// The messages of one connection, both ways.
class MessageDeflate {
 public:
  // The pool must outlive this. Holds nothing before the first message.
  MessageDeflate(DeflatePool& pool, const DeflateParameters& parameters,
                 const base::WebSocketSettings& settings);

  // Appends the deflated message, without the trailing 00 00 ff ff (RFC 7692 7.2.1). Anything but kOk leaves
  // `out` as it was. kTooLong: it would be no shorter; sent as it is, it is no part of the peer's window.
  Compressor::Result deflate(std::string_view message, std::string& out);
  // The next message refers to nothing: after a frame that did not come from deflate().
  void forget_sent() { sent_.clear(); }

  enum class Inflated { kOk, kInvalid, kTooBig, kNoMemory };
  // Appends to `message`, in pieces, of which it never holds more than `limit` bytes and one; and never
  // gives it a capacity beyond the limit and a slice. Last::kYes: these are the message's last bytes, and
  // the 00 00 ff ff that its sender left away is put behind them (7.2.2). Anything but kOk is final.
  // A message that reaches back further than was agreed may be kInvalid or not, as its bytes come.
  Inflated inflate(std::string_view bytes, base::Last last, std::string& message, std::size_t limit);

  // With which messages are deflated.
  int window_bits() const { return sent_bits_; }

 private:
  void remember_sent(std::string_view message);
  Inflated inflate_some(std::string_view bytes, int flush, std::string& message, std::size_t limit);
  bool begin_message();
  bool end_message();

  DeflatePool& pool_;
  int level_;
  int sent_bits_;
  int received_bits_;
  std::size_t max_sent_;  // of what was sent, so many bytes are kept
  bool keeps_received_;
  std::string sent_;                    // the last of them
  std::string received_;                // the peer's window, while no message is inflated
  DeflatePool::LentInflater inflater_;  // from a message's first byte to its last
};

}  // namespace fasterapi::websocket
