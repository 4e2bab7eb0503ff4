// The receiving half of the codec: bytes to events. Reads the request line itself, has llhttp
// read fields and body, and applies what is stricter than llhttp.
// Owned by a Codec and private to this room; the order of calls is the Codec's.
//
// The verdict on an input depends on its bytes only, never on how they were cut: every limit is
// enforced at a fixed byte, because llhttp is never given more bytes than the limit leaves.
#pragma once

#include <llhttp.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/failure.h"
#include "server/base/message.h"
#include "server/base/settings.h"
#include "server/http1/codec.h"

namespace fasterapi::http1 {

class RequestParser {
 public:
  explicit RequestParser(const base::Settings& settings);
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  std::span<const Event> receive(std::string_view bytes);
  void resume();

  std::size_t rest_size() const { return rest_.size() - rest_used_; }
  std::string take_rest();

  const base::RequestHead& head() const { return head_; }
  const base::Failure& failure() const { return failure_; }
  bool keep_alive() const { return keep_alive_; }
  bool in_head() const { return state_ == State::kFields || (state_ == State::kLine && !arena_.empty()); }
  // No request was begun, or the one in hand was seen to its end.
  bool between_requests() const { return complete() || (state_ == State::kLine && arena_.empty()); }
  bool body_began() const { return body_began_; }
  bool complete() const { return state_ == State::kComplete; }
  bool dead() const { return state_ == State::kDead; }

 private:
  enum class State : std::uint8_t { kLine, kFields, kBody, kTrailers, kComplete, kDead };
  struct Field {
    std::uint32_t name_size;
    std::uint32_t value_size;
  };

  static const llhttp_settings_t kCallbacks;
  static llhttp_t after_request_line();

  std::size_t parse(std::string_view bytes);
  std::size_t read_line(std::string_view bytes);
  void end_line();
  void check_line(std::size_t added);
  bool check_method();
  std::size_t run_llhttp(std::string_view bytes);
  int finish_head();
  void keep_rest(std::string_view bytes);
  void give_back(std::size_t kept);
  [[gnu::cold]] int fail(int status, std::string_view reason);
  [[gnu::cold]] int fail(const base::Failure& failure) { return fail(failure.status, failure.reason); }

  // From llhttp; a result other than 0 stops it.
  int on_field(std::string_view piece);
  int on_field_complete();
  int on_value(std::string_view piece);
  int on_value_complete();
  int count_extension(std::size_t bytes);
  int on_extension(std::string_view piece);
  int on_extension_complete();
  int on_chunk_header();
  int on_body(std::string_view piece);
  int on_message_complete();

  const base::Settings& settings_;
  llhttp_t llhttp_;
  State state_ = State::kLine;
  bool keep_alive_ = false;
  bool body_began_ = false;
  unsigned empty_lines_ = 0;        // skipped before this request
  std::size_t method_checked_ = 0;  // bytes of the method that were seen to be a token
  std::size_t budget_ = 0;          // bytes that fields or trailers may still have
  std::size_t trailer_fields_ = 0;
  std::size_t extension_bytes_ = 0;
  std::size_t name_begin_ = 0;  // in the arena, of the field that is being read
  std::size_t value_begin_ = 0;
  std::string arena_;  // method, space, target; then names and values, nothing between
  std::size_t method_size_ = 0;
  std::size_t line_size_ = 0;        // of method, space and target
  std::size_t authority_begin_ = 0;  // of an absolute-form target
  std::size_t authority_size_ = 0;
  std::vector<Field> fields_;
  std::vector<base::Header> headers_;  // views into the arena, made when the head is complete
  base::RequestHead head_;
  base::Failure failure_;
  std::vector<Event> events_;
  std::string rest_;           // bytes that came after a pause
  std::size_t rest_used_ = 0;  // of them, already parsed
};

}  // namespace fasterapi::http1
