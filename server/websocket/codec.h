// Turns the bytes of one WebSocket connection, behind its handshake, into events and messages into bytes
// (RFC 6455; permessage-deflate: RFC 7692). Knows no socket, no clock, no thread and no Python. Owned by
// one connection.
//
// A codec is dead after its first failure and after the peer's Close: every later byte is ignored.
// Messages are never fragmented on their way out. Views in events live until the next call of receive(),
// handled() or rest().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/failure.h"
#include "server/base/output.h"
#include "server/base/settings.h"
#include "server/base/shared_bytes.h"
#include "server/websocket/close_code.h"
#include "server/websocket/deflate.h"
#include "server/websocket/frame.h"
#include "server/websocket/message.h"
#include "server/websocket/utf8.h"

namespace fasterapi::websocket {

enum class EventKind : std::uint8_t { kMessage, kPing, kPong, kClose, kFailure };

struct Event {
  EventKind kind;
  MessageKind message = MessageKind::kText;  // kMessage only
  // kMessage: whole, unmasked, inflated, UTF-8 if text; kPing, kPong: what it holds; kClose: the peer's
  // reason; kFailure: ours.
  std::string_view payload;
  // kClose: the peer's code, kNoStatus where it gave none; kFailure: the one that we failed the connection
  // with.
  std::uint16_t code = 0;
  bool in_place = false;  // kMessage: take_buffer() has it
};

// Whether a message is deflated where that was agreed on; kAuto: from settings.deflate_threshold on.
enum class Compress : std::uint8_t { kAuto, kNo, kYes };

// What a codec needs only from receive() to handled(): lent to one after the other, so that many share what
// is in the cache and an idle one holds nothing. Outlives them.
struct Workspace {
  std::string data;
  std::vector<Event> events;
};

class Codec {
 public:
  // Without `deflate`, permessage-deflate was not negotiated; without `buffers` all messages are received in
  // the codec's own memory. The other arguments outlive the codec.
  Codec(const base::WebSocketSettings& settings, Workspace& workspace,
        std::unique_ptr<MessageDeflate> deflate, MessageBuffers* buffers = nullptr);
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;

  // Interprets at most `max_messages` messages, settings.max_frames_per_turn frames, behind messages no frame
  // that ends the connection (they may be answered before that), and no more once
  // settings.queue_high_water bytes were inflated. What is left is kept: while has_rest(), receive({}) goes
  // on. A Ping is answered (into output()), and so is a Close unless ours was sent. A failure writes our
  // Close, and is the last event ever.
  std::span<const Event> receive(std::string_view bytes, std::size_t max_messages);
  // Of the event that is in_place: the receiver's memory, of the payload's size. It is a call's last.
  std::unique_ptr<MessageBuffer> take_buffer() { return std::move(received_buffer_); }
  // The events were dealt with.
  void handled();
  bool has_rest() const { return rest_size() > 0; }
  std::size_t rest_size() const { return rest_.size() - rest_at_; }
  // Bytes of an unfinished message.
  std::size_t buffered() const { return data_.size() - message_at_ + in_place_; }

  // Each writes one message, or fails (500) writing nothing: after a Close of ours, a failure, or where
  // zlib has no memory. A Slice of at least settings.zero_copy_threshold is kept unless it is deflated.
  base::Result<void> send(MessageKind kind, std::string_view payload) {
    return send(kind, payload, Compress::kAuto);
  }
  base::Result<void> send(MessageKind kind, base::Slice payload);
  base::Result<void> send(MessageKind kind, std::string_view payload, Compress compress);
  // The frames of one message, by encode_message() or encode_deflated(). Dropped after a Close or a failure.
  void send_frames(const base::SharedBytes& frames);
  // Fails (500), writing nothing, for more than 125 bytes, and as send() does.
  base::Result<void> ping(std::string_view payload);
  base::Result<void> pong(std::string_view payload);  // that no Ping asked for (RFC 6455 5.5.3)
  // Our Close; kNoStatus: without a code. Fails (500), writing nothing, for a code that may not be sent, a
  // reason that is longer than 123 bytes, no UTF-8 or without a code, a second time and after a failure.
  base::Result<void> close(std::uint16_t code, std::string_view reason);

  bool close_sent() const { return close_sent_; }
  bool close_received() const { return close_received_; }
  bool failed() const { return failed_; }
  // Nothing more is to be said: the stream ends when output() has been sent (RFC 6455 7.1.1).
  bool wants_close() const { return failed_ || (close_sent_ && close_received_); }
  bool deflates() const { return deflate_ != nullptr; }
  // Of the window that messages are deflated with; 0: they are not.
  int window_bits() const { return deflate_ == nullptr ? 0 : deflate_->window_bits(); }
  // Nothing is expected for a while: buffers are given back.
  void rest();
  base::Output& output() { return output_; }

 private:
  // What is wrong with the frame in hand; code 0: nothing.
  struct Fault {
    std::uint16_t code = 0;
    std::string_view reason;
  };

  bool over() const { return failed_ || close_received_; }
  void forget_delivered();
  void borrow();
  std::string_view join_rest(std::string_view bytes);
  void keep_rest(std::string_view left);
  void interpret(std::string_view& bytes, std::size_t max_messages);
  Fault judge() const;
  void begin_frame();
  std::uint64_t max_received(bool deflated) const;
  void take_payload(std::string_view masked);
  void take_data(std::string_view masked);
  bool take_in_place(std::string_view masked);
  void make_room(std::size_t size);
  void inflate(std::string_view bytes, base::Last last);
  void check_text(std::size_t from);
  void end_frame();
  void end_message();
  void end_control_frame();
  void take_close(std::string_view payload);
  void add_event(EventKind kind, std::string_view payload, std::uint16_t code);
  void place_payloads();
  void fail(std::uint16_t code, std::string_view reason);

  base::Result<void> check_open() const;
  base::Result<void> send_control(Opcode opcode, std::string_view payload);
  void append_frame(Opcode opcode, std::string_view payload);
  bool append_deflated(Opcode opcode, std::string_view payload);
  void append_close(std::uint16_t code, std::string_view reason);

  const base::WebSocketSettings& settings_;
  Workspace& workspace_;
  std::unique_ptr<MessageDeflate> deflate_;
  MessageBuffers* buffers_;
  base::Output output_;

  // Bytes that were not interpreted yet, from rest_at_ on.
  std::string rest_;
  std::size_t rest_at_ = 0;

  FrameHeaderParser parser_;
  FrameHeader frame_;  // the one in hand
  bool in_frame_ = false;
  std::uint64_t taken_ = 0;  // bytes of its payload that have come

  // Payloads of this call's events, one after the other, and behind them what is unfinished. Events hold
  // sizes until place_payloads(), when these two no longer grow.
  std::vector<Event> events_;
  std::string data_;     // of data frames
  std::string control_;  // of control frames, which come between fragments
  std::size_t message_at_ = 0;
  std::size_t control_at_ = 0;

  // The message in hand, where its bytes go to the receiver's memory: room for `room_`, of which `in_place_`
  // are filled.
  std::unique_ptr<MessageBuffer> buffer_;
  std::unique_ptr<MessageBuffer> received_buffer_;
  char* place_ = nullptr;
  std::size_t room_ = 0;
  std::size_t in_place_ = 0;

  bool in_message_ = false;  // one was begun, and its last fragment has not ended
  MessageKind kind_ = MessageKind::kText;
  bool deflated_ = false;
  std::size_t fragments_ = 0;
  std::uint64_t received_ = 0;  // payload of its frames, as they announced it
  std::size_t messages_ = 0;    // of this call
  std::size_t inflated_ = 0;    // bytes of this call
  Utf8Validator text_;

  bool close_sent_ = false;
  bool close_received_ = false;
  bool failed_ = false;
};

// The frame of one message for any number of receivers; encode_deflated: for those that agreed on
// permessage-deflate with a window of at least 2^window_bits bytes, "" where that makes it no shorter. It
// refers to no earlier message.
base::SharedBytes encode_message(MessageKind kind, std::string_view payload);
base::SharedBytes encode_deflated(DeflatePool& pool, int window_bits, const base::WebSocketSettings& settings,
                                  MessageKind kind, std::string_view payload);

}  // namespace fasterapi::websocket
