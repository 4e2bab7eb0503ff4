// Strict UTF-8 (RFC 3629) of a text that comes in pieces: no surrogates, no overlong forms, nothing above
// U+10FFFF. A byte after which the text can only be wrong is seen when it comes (RFC 6455 8.1).
#pragma once

#include <cstdint>
#include <string_view>

namespace fasterapi::websocket {

class Utf8Validator {
 public:
  // False for ever after the first bad byte.
  bool feed(std::string_view bytes);
  // The text may end here: no sequence is unfinished.
  bool complete() const { return valid_ && needed_ == 0; }
  void reset() { *this = Utf8Validator(); }

 private:
  bool valid_ = true;
  std::uint8_t needed_ = 0;  // bytes that the sequence in hand still lacks
  std::uint8_t least_ = 0;   // of the next of them
  std::uint8_t most_ = 0;
};

// Whether `text` is UTF-8, whole.
bool is_utf8(std::string_view text);

}  // namespace fasterapi::websocket
