#include "server/websocket/deflate.h"

#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

namespace fasterapi::websocket {

namespace {

using namespace std::string_view_literals;

// What Z_SYNC_FLUSH ends with, and permessage-deflate leaves away (RFC 7692 7.2.1).
constexpr std::string_view kTail = "\x00\x00\xff\xff"sv;
// What is kept of what was sent: 2^(memory level + 5) bytes.
constexpr int kMemoryBits = 5;
// zlib counts in unsigned int.
constexpr std::size_t kMaxInput = std::numeric_limits<unsigned>::max();
// Each block of zlib's carries its size before it, so that what is live can be counted.
constexpr std::size_t kPrefix = alignof(std::max_align_t);

// zlib does not write to its input; only zlib-ng and ZLIB_CONST say so.
void give(z_stream& stream, std::string_view bytes) {
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<unsigned>(bytes.size());
}

std::string_view take_input(std::string_view& bytes) {
  std::string_view piece = bytes.substr(0, kMaxInput);
  bytes.remove_prefix(piece.size());
  return piece;
}

// Room for `more` bytes: by doubling, and up to `most` at once where the doubled block could not lie beside
// its own copy without taking more than that.
void make_room(std::string& message, std::size_t more, std::size_t most) {
  const std::size_t needed = message.size() + more;
  if (needed <= message.capacity()) return;
  std::size_t room = std::max(needed, message.capacity() * 2);
  if (room > most / 2) room = std::max(needed, most);
  message.reserve(room);
}

}  // namespace

// --- The pool -----------------------------------------------------------------------------------

class DeflatePool::Inflater {
 public:
  explicit Inflater(DeflatePool& pool) {
    stream.zalloc = &allocate;
    stream.zfree = &release;
    stream.opaque = &pool;
    made_ = inflateInit2(&stream, -MAX_WBITS) == Z_OK;  // the window is made later, when its size is known
  }
  ~Inflater() {
    if (made_) inflateEnd(&stream);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  bool begin(int window_bits) { return made_ && inflateReset2(&stream, -window_bits) == Z_OK; }

  z_stream stream{};

 private:
  bool made_ = false;
};

DeflatePool::DeflatePool() { inflaters_.reserve(kMaxSpares); }

DeflatePool::~DeflatePool() = default;

DeflatePool::LentInflater DeflatePool::inflater(int window_bits) {
  std::unique_ptr<Inflater> inflater;
  if (inflaters_.empty()) {
    inflater = std::make_unique<Inflater>(*this);
  } else {
    inflater = std::move(inflaters_.back());
    inflaters_.pop_back();
  }
  const bool ready = inflater->begin(window_bits);
  return LentInflater(ready ? inflater.release() : nullptr, Return{this});
}

void DeflatePool::put(Inflater* inflater) {
  std::unique_ptr<Inflater> owned(inflater);
  if (inflaters_.size() < kMaxSpares) inflaters_.push_back(std::move(owned));
}

void* DeflatePool::allocate(void* pool, unsigned count, unsigned size) {
  const std::size_t bytes = std::size_t{count} * size;
  void* block = std::malloc(bytes + kPrefix);
  if (block == nullptr) return nullptr;
  *static_cast<std::size_t*>(block) = bytes;
  static_cast<DeflatePool*>(pool)->zlib_bytes_ += bytes;
  return static_cast<char*>(block) + kPrefix;
}

void DeflatePool::release(void* pool, void* block) {
  void* whole = static_cast<char*>(block) - kPrefix;
  static_cast<DeflatePool*>(pool)->zlib_bytes_ -= *static_cast<std::size_t*>(whole);
  std::free(whole);
}

// --- One connection's messages --------------------------------------------------------------------

MessageDeflate::MessageDeflate(DeflatePool& pool, const DeflateParameters& parameters,
                               const base::WebSocketSettings& settings)
    : pool_(pool),
      level_(settings.deflate_level),
      sent_bits_(parameters.server_max_window_bits),
      received_bits_(parameters.client_max_window_bits),
      max_sent_(parameters.server_no_context_takeover
                    ? 0
                    : std::size_t{1} << std::min(sent_bits_, settings.deflate_memory_level + kMemoryBits)),
      keeps_received_(!parameters.client_no_context_takeover) {}

Compressor::Result MessageDeflate::deflate(std::string_view message, std::string& out) {
  // RFC 7692 7.2.3.6: an empty message is one empty block; a flush makes none behind nothing.
  if (message.empty()) {
    out += '\0';
    return Compressor::Result::kOk;
  }
  sent_.reserve(max_sent_);
  const auto result = pool_.compressor().deflate(message, sent_, sent_bits_, level_, message.size() - 1, out);
  if (result == Compressor::Result::kOk) remember_sent(message);
  return result;
}

void MessageDeflate::remember_sent(std::string_view message) {
  if (message.size() >= max_sent_) {
    sent_.assign(message.substr(message.size() - max_sent_));
    return;
  }
  if (sent_.size() + message.size() > max_sent_) sent_.erase(0, sent_.size() + message.size() - max_sent_);
  sent_.append(message);
}

MessageDeflate::Inflated MessageDeflate::inflate(std::string_view bytes, base::Last last,
                                                 std::string& message, std::size_t limit) {
  if (inflater_ == nullptr && !begin_message()) return Inflated::kNoMemory;
  while (!bytes.empty()) {
    const Inflated result = inflate_some(take_input(bytes), Z_SYNC_FLUSH, message, limit);
    if (result != Inflated::kOk) return result;
  }
  if (last == base::Last::kNo) return Inflated::kOk;
  const Inflated result = inflate_some(kTail, Z_BLOCK, message, limit);
  if (result != Inflated::kOk) return result;
  return end_message() ? Inflated::kOk : Inflated::kInvalid;
}

MessageDeflate::Inflated MessageDeflate::inflate_some(std::string_view bytes, int flush, std::string& message,
                                                      std::size_t limit) {
  const std::size_t most = std::min(limit, message.max_size() - DeflatePool::kSlice) + DeflatePool::kSlice;
  z_stream& stream = inflater_->stream;
  give(stream, bytes);
  do {
    if (message.size() > limit) return Inflated::kTooBig;
    const std::size_t room = std::min(DeflatePool::kSlice - 1, limit - message.size()) + 1;
    stream.next_out = reinterpret_cast<Bytef*>(pool_.slice().data());
    stream.avail_out = static_cast<unsigned>(room);
    const int status = ::inflate(&stream, flush);
    const std::size_t inflated = room - stream.avail_out;
    make_room(message, inflated, most);
    message.append(pool_.slice().data(), inflated);
    if (status == Z_MEM_ERROR) return Inflated::kNoMemory;
    // Before what is wrong behind it: the same fault, however the bytes were cut.
    if (message.size() > limit) return Inflated::kTooBig;
    // RFC 7692 7.2.3.4: a block may have BFINAL set and does not end the message. The window stays, which
    // inflateReset() would empty.
    if (status == Z_STREAM_END) {
      inflateResetKeep(&stream);
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      return Inflated::kInvalid;
    }
  } while (stream.avail_in > 0 || stream.avail_out == 0);
  return Inflated::kOk;
}

bool MessageDeflate::begin_message() {
  inflater_ = pool_.inflater(received_bits_);
  if (inflater_ == nullptr || received_.empty()) return inflater_ != nullptr;
  const auto* bytes = reinterpret_cast<const Bytef*>(received_.data());
  return inflateSetDictionary(&inflater_->stream, bytes, static_cast<unsigned>(received_.size())) == Z_OK;
}

// zlib.h: data_type is 128 right behind a block, 64 in the last one, and the bits left over. Elsewhere the
// message was cut off, or did not end as RFC 7692 7.2.1 says, and the next one would be read from the wrong
// bit.
bool MessageDeflate::end_message() {
  z_stream& stream = inflater_->stream;
  if (stream.data_type != 128) return false;
  if (keeps_received_) {
    unsigned size = 0;
    inflateGetDictionary(&stream, nullptr, &size);
    received_.resize(size);
    inflateGetDictionary(&stream, reinterpret_cast<Bytef*>(received_.data()), &size);
  }
  inflater_.reset();
  return true;
}

}  // namespace fasterapi::websocket
