#include "server/websocket/codec.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

namespace fasterapi::websocket {

namespace {

using base::Failure;
using base::Result;

// A payload is copied, unmasked and validated by pieces that stay in the first-level cache.
constexpr std::size_t kPiece = 4 * 1024;
// What is inflated before the work of a call is looked at again.
constexpr std::size_t kInflatedPiece = 1024;
// How much of a message is made room for, in multiples of what has come.
constexpr std::size_t kGrowth = 4;
// The same in the receiver's memory: what is not touched costs little, and growing may move what is there.
// Of 1 MiB the first read of 64 KiB makes room for all.
constexpr std::size_t kGrowthInPlace = 32;
// Buffers kept from one call to the next; one that a large message needed is given back.
constexpr std::size_t kKeptBuffer = 64 * 1024;

Opcode opcode_of(MessageKind kind) { return kind == MessageKind::kText ? Opcode::kText : Opcode::kBinary; }

std::uint16_t read_code(std::string_view payload) {
  return static_cast<std::uint16_t>(static_cast<std::uint8_t>(payload[0]) << 8 |
                                    static_cast<std::uint8_t>(payload[1]));
}

// A Close frame's payload (RFC 6455 5.5.1).
std::string close_payload(std::uint16_t code, std::string_view reason) {
  if (code == kNoStatus) return {};
  std::string payload = {static_cast<char>(code >> 8), static_cast<char>(code)};
  payload += reason;
  return payload;
}

// Assigning an empty string would keep the memory.
void give_back(std::string& buffer) { std::string().swap(buffer); }

// Of a string whose first `done` bytes are no longer needed.
void drop_front(std::string& buffer, std::size_t done) {
  buffer.erase(0, done);
  if (buffer.capacity() > kKeptBuffer && buffer.size() <= kKeptBuffer / 2) buffer.shrink_to_fit();
}

}  // namespace

Codec::Codec(const base::WebSocketSettings& settings, Workspace& workspace,
             std::unique_ptr<MessageDeflate> deflate, MessageBuffers* buffers)
    : settings_(settings), workspace_(workspace), deflate_(std::move(deflate)), buffers_(buffers) {}

// --- Receiving --------------------------------------------------------------------------------

std::span<const Event> Codec::receive(std::string_view bytes, std::size_t max_messages) {
  forget_delivered();
  if (over()) return {};
  borrow();
  std::string_view left = join_rest(bytes);
  interpret(left, max_messages);
  keep_rest(left);
  place_payloads();
  return events_;
}

void Codec::forget_delivered() {
  events_.clear();
  received_buffer_.reset();
  messages_ = inflated_ = 0;
  if (over()) {
    give_back(data_);
    message_at_ = 0;
  }
  if (message_at_ > 0) drop_front(data_, std::exchange(message_at_, 0));
  if (control_at_ > 0) drop_front(control_, std::exchange(control_at_, 0));
}

void Codec::borrow() {
  if (data_.empty() && data_.capacity() < workspace_.data.capacity()) data_.swap(workspace_.data);
  if (events_.capacity() == 0) events_.swap(workspace_.events);
}

// What is left of an unfinished message moves to a buffer of its size, unless it fills the one that was lent.
void Codec::handled() {
  forget_delivered();
  if (events_.capacity() > workspace_.events.capacity()) events_.swap(workspace_.events);
  if (data_.capacity() > kKeptBuffer || data_.capacity() <= workspace_.data.capacity()) return;
  if (data_.size() > data_.capacity() / 4) return;
  std::string unfinished(data_);
  data_.clear();
  data_.swap(workspace_.data);
  data_.swap(unfinished);
}

std::string_view Codec::join_rest(std::string_view bytes) {
  if (rest_.empty()) return bytes;
  if (!bytes.empty()) {
    // By halves: a rest that is never empty would else be moved for every byte that comes.
    if (rest_at_ * 2 >= rest_.size()) rest_.erase(0, std::exchange(rest_at_, 0));
    rest_.append(bytes);
  }
  return std::string_view(rest_).substr(rest_at_);
}

void Codec::keep_rest(std::string_view left) {
  if (over() || left.empty()) {
    give_back(rest_);
    rest_at_ = 0;
  } else if (rest_.empty()) {
    rest_.assign(left);
  } else {
    rest_at_ = rest_.size() - left.size();
  }
}

void Codec::interpret(std::string_view& bytes, std::size_t max_messages) {
  unsigned frames = 0;
  while (!over() && messages_ < max_messages && inflated_ <= settings_.queue_high_water &&
         received_buffer_ == nullptr) {
    if (!in_frame_) {
      const std::string_view frame = bytes;
      if (frames == settings_.max_frames_per_turn || !parser_.parse(bytes, frame_)) return;
      const Fault fault = judge();
      const bool ends = fault.code != 0 || frame_.opcode == Opcode::kClose;
      if (ends && messages_ > 0 && !close_sent_) {
        bytes = frame;
        return;
      }
      if (fault.code != 0) return fail(fault.code, fault.reason);
      ++frames;
      begin_frame();
    }
    std::size_t size = std::min<std::uint64_t>(bytes.size(), frame_.length - taken_);
    // A piece may inflate to a thousand times its size: between two the call may have done enough.
    if (deflated_ && !is_control(frame_.opcode)) size = std::min(size, kInflatedPiece);
    take_payload(bytes.substr(0, size));
    bytes.remove_prefix(size);
    if (failed_) return;
    if (taken_ == frame_.length) {
      end_frame();
    } else if (bytes.empty()) {
      return;
    }
  }
}

// By the header alone: a message that will be too long costs no byte of memory.
Codec::Fault Codec::judge() const {
  std::string_view fault = fault_of(frame_);
  if (!fault.empty()) return {kProtocolError, fault};
  if (is_control(frame_.opcode)) return {};
  const bool first = frame_.opcode != Opcode::kContinuation;
  // RFC 6455 5.4: a message is one frame of another opcode than 0, and then those of opcode 0. "The
  // fragments of one message MUST NOT be interleaved between the fragments of another message".
  if (first && in_message_) return {kProtocolError, "message inside another one"};
  if (!first && !in_message_) return {kProtocolError, "continuation of no message"};
  // RFC 7692 6: only a message's first frame says that it is deflated, and only after negotiation.
  if (frame_.reserved != 0 && (!first || deflate_ == nullptr)) {
    return {kProtocolError, "reserved bits are set"};
  }
  const bool deflated = first ? frame_.reserved != 0 : deflated_;
  if (!first && fragments_ >= settings_.max_fragments) {
    return {kPolicyViolation, "message has too many fragments"};
  }
  if (frame_.length > max_received(deflated) - (first ? 0 : received_)) {
    return {kMessageTooBig, "message is too big"};
  }
  return {};
}

void Codec::begin_frame() {
  in_frame_ = true;
  taken_ = 0;
  if (is_control(frame_.opcode)) return;
  if (frame_.opcode != Opcode::kContinuation) {
    in_message_ = true;
    kind_ = frame_.opcode == Opcode::kText ? MessageKind::kText : MessageKind::kBinary;
    deflated_ = frame_.reserved != 0;
    fragments_ = 0;
    received_ = 0;
    text_.reset();
  }
  ++fragments_;
  received_ += frame_.length;
  const bool in_place = buffers_ != nullptr && frame_.opcode == Opcode::kBinary && frame_.fin && !deflated_ &&
                        frame_.length >= settings_.in_place_threshold;
  if (in_place) buffer_ = buffers_->make();
}

// Payload that a message's frames may announce in all.
std::uint64_t Codec::max_received(bool deflated) const {
  const std::uint64_t most = settings_.max_message;
  if (!deflated) return most;
  // What cannot be deflated becomes longer, with zlib by an eighth at most (deflateBound()), and by some
  // bytes in each fragment. What comes out is held to the limit itself.
  const std::uint64_t longer = most / 4 + 1024;
  return most > UINT64_MAX - longer ? UINT64_MAX : most + longer;
}

void Codec::take_payload(std::string_view masked) {
  if (!is_control(frame_.opcode)) return take_data(masked);
  const std::size_t at = control_.size();
  control_.append(masked);
  unmask(control_.data() + at, control_.data() + at, masked.size(), frame_.key, taken_);
  taken_ += masked.size();
}

void Codec::take_data(std::string_view masked) {
  if (buffer_ != nullptr) {
    if (!take_in_place(masked)) fail(kInternalError, "no memory for a message");
    return;
  }
  if (!deflated_) make_room(masked.size());
  while (!masked.empty()) {
    std::string_view piece = masked.substr(0, kPiece);
    masked.remove_prefix(piece.size());
    if (deflated_) {
      std::array<char, kPiece> unmasked;
      unmask(piece.data(), unmasked.data(), piece.size(), frame_.key, taken_);
      inflate({unmasked.data(), piece.size()}, base::Last::kNo);
    } else {
      const std::size_t at = data_.size();
      data_.append(piece);
      unmask(data_.data() + at, data_.data() + at, piece.size(), frame_.key, taken_);
      check_text(at);
    }
    if (failed_) return;
    taken_ += piece.size();
  }
}

bool Codec::take_in_place(std::string_view masked) {
  if (room_ - in_place_ < masked.size()) {
    room_ = std::min<std::uint64_t>(frame_.length, kGrowthInPlace * (in_place_ + masked.size()));
    place_ = buffer_->resize(room_);
    if (place_ == nullptr) return false;
  }
  unmask(masked.data(), place_ + in_place_, masked.size(), frame_.key, taken_);
  in_place_ += masked.size();
  taken_ += masked.size();
  return true;
}

// By what has come, not by what was announced: ahead of it by three times as much, and no further than the
// frame goes. Most messages so end in a buffer of their own size.
void Codec::make_room(std::size_t size) {
  if (data_.capacity() - data_.size() >= size) return;
  const std::uint64_t announced = data_.size() + (frame_.length - taken_);
  data_.reserve(std::min<std::uint64_t>(announced, kGrowth * (data_.size() + size)));
}

void Codec::inflate(std::string_view bytes, base::Last last) {
  const std::size_t at = data_.size();
  const std::size_t most = settings_.max_message;
  const std::size_t limit = most > SIZE_MAX - message_at_ ? SIZE_MAX : message_at_ + most;
  const auto result = deflate_->inflate(bytes, last, data_, limit);
  inflated_ += data_.size() - at;
  // The fault that comes first in the message is the one, however its bytes were cut.
  if (data_.size() > limit) data_.resize(limit);
  check_text(at);
  if (failed_) return;
  switch (result) {
    case MessageDeflate::Inflated::kOk:
      return;
    case MessageDeflate::Inflated::kInvalid:
      return fail(kInvalidPayload, "message does not inflate");
    case MessageDeflate::Inflated::kTooBig:
      return fail(kMessageTooBig, "message is too big");
    case MessageDeflate::Inflated::kNoMemory:
      return fail(kInternalError, "no memory to inflate");
  }
}

// RFC 6455 8.1: invalid UTF-8 fails the connection; it is seen byte by byte, not at the message's end.
void Codec::check_text(std::size_t from) {
  if (kind_ != MessageKind::kText || text_.feed(std::string_view(data_).substr(from))) return;
  fail(kInvalidPayload, "text is not UTF-8");
}

void Codec::end_frame() {
  in_frame_ = false;
  if (is_control(frame_.opcode)) return end_control_frame();
  if (frame_.fin) end_message();
}

void Codec::end_message() {
  if (deflated_) inflate({}, base::Last::kYes);
  if (failed_) return;
  if (kind_ == MessageKind::kText && !text_.complete())
    return fail(kInvalidPayload, "text ends inside a character");
  in_message_ = false;
  ++messages_;
  if (buffer_ != nullptr) {
    add_event(EventKind::kMessage, {place_, in_place_}, 0);
    events_.back().in_place = true;
    received_buffer_ = std::move(buffer_);
    room_ = in_place_ = 0;
    return;
  }
  add_event(EventKind::kMessage, std::string_view(data_).substr(message_at_), 0);
  message_at_ = data_.size();
}

void Codec::end_control_frame() {
  const std::string_view payload = std::string_view(control_).substr(control_at_);
  control_at_ = control_.size();
  if (frame_.opcode == Opcode::kClose) return take_close(payload);
  if (frame_.opcode == Opcode::kPong) return add_event(EventKind::kPong, payload, 0);
  // RFC 6455 5.5.3: a Pong holds the Ping's data. 1.4: after a Close an endpoint sends nothing.
  if (!close_sent_) append_frame(Opcode::kPong, payload);
  add_event(EventKind::kPing, payload, 0);
}

void Codec::take_close(std::string_view payload) {
  std::uint16_t code = kNoStatus;
  std::string_view reason;
  if (!payload.empty()) {
    // RFC 6455 5.5.1: "the first two bytes of the body MUST be a 2-byte unsigned integer".
    if (payload.size() < 2) return fail(kProtocolError, "close code is cut");
    code = read_code(payload);
    reason = payload.substr(2);
    if (!may_be_sent(code)) return fail(kProtocolError, "close code is not allowed");
    if (!is_utf8(reason)) return fail(kInvalidPayload, "close reason is not UTF-8");
  }
  close_received_ = true;
  // RFC 6455 5.5.1: an endpoint that "did not previously send a Close frame" MUST send one, and
  // "typically echos the status code it received".
  if (!close_sent_) append_close(code, {});
  add_event(EventKind::kClose, reason, code);
}

void Codec::add_event(EventKind kind, std::string_view payload, std::uint16_t code) {
  events_.push_back({kind, kind_, payload, code});
}

// The code bytes of a Close lie before its reason, and the reason is what the event shows.
void Codec::place_payloads() {
  const char* data = data_.data();
  const char* control = control_.data();
  for (Event& event : events_) {
    if (event.kind == EventKind::kFailure || event.in_place) continue;
    if (event.kind == EventKind::kClose && event.code != kNoStatus) control += 2;
    const char*& at = event.kind == EventKind::kMessage ? data : control;
    event.payload = {at, event.payload.size()};
    at += event.payload.size();
  }
}

void Codec::fail(std::uint16_t code, std::string_view reason) {
  failed_ = true;
  data_.resize(message_at_);
  buffer_.reset();
  in_place_ = 0;
  // RFC 6455 7.1.7: the endpoint SHOULD send a Close with an appropriate code before it closes.
  if (!close_sent_) append_close(code, reason);
  add_event(EventKind::kFailure, reason, code);
}

void Codec::rest() {
  forget_delivered();
  events_.shrink_to_fit();
  data_.shrink_to_fit();
  control_.shrink_to_fit();
}

// --- Sending ----------------------------------------------------------------------------------

Result<void> Codec::check_open() const {
  if (failed_) return Failure{500, "the connection has failed"};
  // RFC 6455 5.5.1: "The application MUST NOT send any more data frames after sending a Close frame."
  if (close_sent_) return Failure{500, "the connection is closing"};
  return {};
}

Result<void> Codec::send(MessageKind kind, std::string_view payload, Compress compress) {
  if (auto open = check_open(); !open) return open;
  const bool wanted = compress == Compress::kYes ||
                      (compress == Compress::kAuto && payload.size() >= settings_.deflate_threshold);
  if (!wanted || !deflates()) {
    append_frame(opcode_of(kind), payload);
  } else if (!append_deflated(opcode_of(kind), payload)) {
    return Failure{500, "no memory to deflate"};
  }
  return {};
}

Result<void> Codec::send(MessageKind kind, base::Slice payload) {
  const std::size_t size = payload.bytes().size();
  const bool deflated = deflates() && size >= settings_.deflate_threshold;
  if (deflated || size < settings_.zero_copy_threshold) return send(kind, payload.bytes());
  if (auto open = check_open(); !open) return open;
  std::string& tail = output_.tail();
  const std::size_t before = tail.size();
  append_frame_header(tail, true, false, opcode_of(kind), size);
  output_.grown(tail.size() - before);
  output_.append(std::move(payload));
  return {};
}

void Codec::send_frames(const base::SharedBytes& shared) {
  const std::string_view frames = shared.bytes();
  if (failed_ || close_sent_ || frames.empty()) return;
  if ((static_cast<std::uint8_t>(frames.front()) & kRsv1) != 0) {
    assert(deflates());
    // The peer's window has moved by a message that ours has not seen.
    deflate_->forget_sent();
  }
  if (frames.size() >= settings_.zero_copy_threshold) {
    output_.append(shared.slice());
  } else {
    output_.append(frames);
  }
}

Result<void> Codec::ping(std::string_view payload) { return send_control(Opcode::kPing, payload); }

Result<void> Codec::pong(std::string_view payload) { return send_control(Opcode::kPong, payload); }

Result<void> Codec::send_control(Opcode opcode, std::string_view payload) {
  if (auto open = check_open(); !open) return open;
  if (payload.size() > kMaxControlPayload) return Failure{500, "a ping or pong holds at most 125 bytes"};
  append_frame(opcode, payload);
  return {};
}

Result<void> Codec::close(std::uint16_t code, std::string_view reason) {
  if (auto open = check_open(); !open) return open;
  if (code == kNoStatus) {
    if (!reason.empty()) return Failure{500, "a close reason needs a code"};
  } else if (!may_be_sent(code)) {
    return Failure{500, "close code " + std::to_string(code) + " may not be sent"};
  }
  if (reason.size() > kMaxControlPayload - 2) return Failure{500, "a close reason has at most 123 bytes"};
  if (!is_utf8(reason)) return Failure{500, "close reason is not UTF-8"};
  append_close(code, reason);
  return {};
}

void Codec::append_frame(Opcode opcode, std::string_view payload) {
  std::string& tail = output_.tail();
  const std::size_t before = tail.size();
  append_frame_header(tail, true, false, opcode, payload.size());
  tail.append(payload);
  output_.grown(tail.size() - before);
}

bool Codec::append_deflated(Opcode opcode, std::string_view payload) {
  std::string& tail = output_.tail();
  const std::size_t before = tail.size();
  switch (deflate_->deflate(payload, tail)) {
    case Compressor::Result::kOk:
      break;
    case Compressor::Result::kTooLong:
      append_frame(opcode, payload);
      return true;
    case Compressor::Result::kNoMemory:
      return false;
  }
  // Its length is known only now; moving the little that is left of a message is cheaper than a copy.
  std::string header;
  append_frame_header(header, true, true, opcode, tail.size() - before);
  tail.insert(before, header);
  output_.grown(tail.size() - before);
  return true;
}

void Codec::append_close(std::uint16_t code, std::string_view reason) {
  append_frame(Opcode::kClose, close_payload(code, reason));
  close_sent_ = true;
}

base::SharedBytes encode_message(MessageKind kind, std::string_view payload) {
  std::string frame;
  frame.reserve(kMaxFrameHeader + payload.size());
  append_frame_header(frame, true, false, opcode_of(kind), payload.size());
  frame.append(payload);
  return base::SharedBytes(std::move(frame));
}

base::SharedBytes encode_deflated(DeflatePool& pool, int window_bits, const base::WebSocketSettings& settings,
                                  MessageKind kind, std::string_view payload) {
  DeflateParameters parameters;
  parameters.server_no_context_takeover = true;
  parameters.server_max_window_bits = window_bits;
  MessageDeflate deflate(pool, parameters, settings);
  std::string deflated;
  if (deflate.deflate(payload, deflated) != Compressor::Result::kOk) return {};
  std::string frame;
  append_frame_header(frame, true, true, opcode_of(kind), deflated.size());
  frame.append(deflated);
  return base::SharedBytes(std::move(frame));
}

}  // namespace fasterapi::websocket
