// permessage-deflate's compression (RFC 7692 7.2), over zlib: one message in, one message out.
//
// zlib's streams are large (a deflater some 40 KB, an inflater 10) and are only needed while there is
// something to do. They belong to the server's DeflatePool and are lent: without context take-over for one
// message, with it until rest() or the connection's end. What a peer's later messages may refer to, at most
// the agreed window, is all that a connection keeps for itself when it rests.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/message.h"
#include "server/base/settings.h"
#include "server/websocket/deflate_offer.h"

namespace fasterapi::websocket {

// zlib's streams, used in turn, and the buffer they write to. Outlives every MessageDeflate that it lends to.
class DeflatePool {
 public:
  // What zlib has to know when a deflater is made.
  struct Form {
    int window_bits;
    int memory_level;
    int level;
    bool operator==(const Form&) const = default;
  };
  class Deflater;
  class Inflater;
  // Gives a stream back. Beyond kMaxSpares of its kind it is freed.
  struct Return {
    DeflatePool* pool = nullptr;
    void operator()(Deflater* deflater) const { pool->put(deflater); }
    void operator()(Inflater* inflater) const { pool->put(inflater); }
  };
  using LentDeflater = std::unique_ptr<Deflater, Return>;
  using LentInflater = std::unique_ptr<Inflater, Return>;

  // A message is inflated or deflated at once, so a few spare streams serve any number of connections; they
  // are kept for those that rest and wake.
  static constexpr std::size_t kMaxSpares = 8;
  // zlib writes pieces of this size: one stays in the first-level cache, and bounds what is held beyond a
  // limit.
  static constexpr std::size_t kSlice = 16 * 1024;

  DeflatePool();
  ~DeflatePool();
  DeflatePool(const DeflatePool&) = delete;
  DeflatePool& operator=(const DeflatePool&) = delete;

  // Streams that have seen nothing. Null: zlib has no memory, or no such form.
  LentDeflater deflater(const Form& form);
  LentInflater inflater(int window_bits);
  // Where zlib writes to; what is in it is the caller's until he calls anything else.
  std::array<char, kSlice>& slice() { return slice_; }
  // Bytes that zlib holds, in streams that are lent and that are spare.
  std::size_t zlib_bytes() const { return zlib_bytes_; }

 private:
  static void* allocate(void* pool, unsigned count, unsigned size);
  static void release(void* pool, void* block);
  void put(Deflater* deflater);
  void put(Inflater* inflater);

  std::size_t zlib_bytes_ = 0;
  std::vector<std::unique_ptr<Deflater>> deflaters_;
  std::vector<std::unique_ptr<Inflater>> inflaters_;
  std::array<char, kSlice> slice_;
};

// The messages of one connection, both ways.
class MessageDeflate {
 public:
  // The pool must outlive this. Makes no stream before the first message.
  MessageDeflate(DeflatePool& pool, const DeflateParameters& parameters,
                 const base::WebSocketSettings& settings);

  // Appends the deflated message, without the trailing 00 00 ff ff (RFC 7692 7.2.1). False: zlib has no
  // memory, and `out` is as it was.
  bool deflate(std::string_view message, std::string& out);
  // The next message is deflated as if it were the first: after a frame that did not come from deflate().
  void forget_sent() { deflater_.reset(); }

  enum class Inflated { kOk, kInvalid, kTooBig, kNoMemory };
  // Appends to `message`, in pieces, of which it never holds more than `limit` bytes and one; and never
  // gives it a capacity beyond the limit and a slice. Last::kYes: these are the message's last bytes, and
  // the 00 00 ff ff that its sender left away is put behind them (7.2.2). Anything but kOk is final.
  // A message that reaches back further than was agreed may be kInvalid or not, as its bytes come.
  Inflated inflate(std::string_view bytes, base::Last last, std::string& message, std::size_t limit);

  // With which messages are deflated.
  int window_bits() const { return form_.window_bits; }
  // Nothing is to be said for a while: zlib's memory goes back to the pool. Of what was received the window
  // is kept, as small as it is; what was sent is forgotten, which a sender may do at any time. An inflater
  // in the middle of a message stays.
  void rest();

 private:
  Inflated inflate_some(std::string_view bytes, int flush, std::string& message, std::size_t limit);
  bool wake_inflater();

  DeflatePool& pool_;
  DeflatePool::Form form_;
  int inflate_bits_;
  bool keeps_sent_;
  bool keeps_received_;
  bool in_message_ = false;  // inflate() has had some bytes of a message, not the last
  DeflatePool::LentDeflater deflater_;
  DeflatePool::LentInflater inflater_;
  std::string history_;  // the last bytes received, while inflater_ is not lent
};

}  // namespace fasterapi::websocket
