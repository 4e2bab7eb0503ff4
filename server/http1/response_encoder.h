// The sending half of the codec: one response after another to bytes (RFC 9112 2, 4, 6, 7, 9).
// Owned by a Codec and private to this room. For each request: begin, [send_continue],
// send_head, send_body*, [send_trailers*], end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "server/base/failure.h"
#include "server/base/message.h"
#include "server/base/output.h"
#include "server/base/settings.h"
#include "server/http1/codec.h"

namespace fasterapi::http1 {

enum class Reuse : bool { kClose, kKeepAlive };  // what the request asked of the connection

class ResponseEncoder {
 public:
  explicit ResponseEncoder(const base::Settings& settings) : settings_(settings) {}

  void begin(const base::RequestHead& request, Reuse reuse);
  void end() { state_ = State::kIdle; }

  void send_continue();
  base::Result<void> send_head(const base::ResponseHead& head, const DefaultHeaders& defaults);
  base::Result<void> switch_protocols(std::string_view protocol, std::span<const base::Header> headers,
                                      const DefaultHeaders& defaults);
  base::Result<void> send_body(base::Slice bytes, base::Last last);
  base::Result<void> send_body(std::string_view bytes, base::Last last);
  base::Result<void> send_trailers(std::span<const base::Header> fields, base::Last last);
  // The client waits for "100 Continue", which was not sent.
  bool continue_due() const { return expects_continue_; }
  void close_after_response() { close_ = true; }

  bool head_sent() const { return state_ >= State::kBody; }
  bool complete() const { return state_ == State::kDone; }
  bool has_no_body() const { return head_sent() && framing_ == Framing::kNone; }
  bool open_ended() const {
    return state_ == State::kBody && (framing_ == Framing::kChunked || framing_ == Framing::kUntilClose);
  }
  bool wants_close() const { return close_; }
  base::Output& output() { return output_; }

 private:
  enum class State : std::uint8_t { kIdle, kAwaitsHead, kBody, kTrailers, kDone };
  enum class Framing : std::uint8_t { kNone, kLength, kChunked, kUntilClose };
  struct Plan;

  base::Result<Plan> plan(const base::ResponseHead& head) const;
  void write_head(const base::ResponseHead& head, const DefaultHeaders& defaults, const Plan& plan);
  base::Result<void> admit(std::size_t size, base::Last last);
  std::string_view chunk_end(base::Last last) const;
  void write_chunk(std::string_view bytes, base::Last last);

  const base::Settings& settings_;
  base::Output output_;
  std::uint64_t remaining_ = 0;  // of the announced content-length
  State state_ = State::kIdle;
  Framing framing_ = Framing::kNone;
  bool close_ = false;         // the connection ends after this response
  bool head_request_ = false;  // the method is HEAD
  bool http_1_0_ = false;
  bool expects_continue_ = false;
  bool accepts_trailers_ = false;
  bool trailers_due_ = false;
};

}  // namespace fasterapi::http1
