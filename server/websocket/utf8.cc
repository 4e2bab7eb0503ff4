#include "server/websocket/utf8.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace fasterapi::websocket {

namespace {

constexpr std::uint8_t kLeastTail = 0x80;
constexpr std::uint8_t kMostTail = 0xbf;
constexpr std::uint8_t kInvalid = 0xff;

// What may follow a first byte: how many bytes, and the bounds of the second.
struct Lead {
  std::uint8_t needed = kInvalid;
  std::uint8_t least = kLeastTail;
  std::uint8_t most = kMostTail;
};

// RFC 3629 4: the grammar of UTF-8 by its first byte.
constexpr std::array<Lead, 256> make_leads() {
  std::array<Lead, 256> leads;
  for (int byte = 0; byte <= 0x7f; ++byte) leads[byte].needed = 0;
  for (int byte = 0xc2; byte <= 0xdf; ++byte) leads[byte].needed = 1;
  for (int byte = 0xe0; byte <= 0xef; ++byte) leads[byte].needed = 2;
  for (int byte = 0xf0; byte <= 0xf4; ++byte) leads[byte].needed = 3;
  leads[0xe0].least = 0xa0;  // below: overlong
  leads[0xed].most = 0x9f;   // above: surrogates
  leads[0xf0].least = 0x90;  // below: overlong
  leads[0xf4].most = 0x8f;   // above: beyond U+10FFFF
  return leads;
}

constexpr std::array<Lead, 256> kLeads = make_leads();

bool is_tail(std::uint8_t byte) { return (byte & 0xc0) == 0x80; }

// The first byte that is not ASCII, or the last few: 32 at a time.
const std::uint8_t* skip_ascii(const std::uint8_t* at, const std::uint8_t* end) {
  constexpr std::uint64_t kHighs = 0x8080808080808080;
  std::uint64_t words[4];
  while (static_cast<std::size_t>(end - at) >= sizeof words) {
    std::memcpy(words, at, sizeof words);
    if ((((words[0] | words[1]) | (words[2] | words[3])) & kHighs) != 0) break;
    at += sizeof words;
  }
  while (at != end && *at < 0x80) ++at;
  return at;
}

// The first byte of the first sequence that is wrong or may go on behind `end`. `at` begins a sequence.
const std::uint8_t* skip_whole_sequences(const std::uint8_t* at, const std::uint8_t* end) {
  while (end - at >= 4) {
    if (*at < 0x80) {
      at = skip_ascii(at, end);
      continue;
    }
    const Lead& lead = kLeads[*at];
    if (at[1] < lead.least || at[1] > lead.most) break;
    // By branches and not by `at += 1 + needed`: a text has mostly sequences of one length, and the
    // next can be looked at before this one's is known.
    if (lead.needed == 1) {
      at += 2;
    } else if (lead.needed == 2 && is_tail(at[2])) {
      at += 3;
    } else if (lead.needed == 3 && is_tail(at[2]) && is_tail(at[3])) {
      at += 4;
    } else {
      break;
    }
  }
  return at;
}

}  // namespace

bool Utf8Validator::feed(std::string_view bytes) {
  if (!valid_) return false;
  const auto* at = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const auto* end = at + bytes.size();
  while (true) {
    if (needed_ == 0) at = skip_whole_sequences(at, end);
    if (at == end) return true;
    const std::uint8_t byte = *at++;
    if (needed_ > 0) {
      if (byte < least_ || byte > most_) break;
      --needed_;
      least_ = kLeastTail;
      most_ = kMostTail;
      continue;
    }
    const Lead lead = kLeads[byte];
    if (lead.needed == kInvalid) break;
    needed_ = lead.needed;
    least_ = lead.least;
    most_ = lead.most;
  }
  valid_ = false;
  return false;
}

bool is_utf8(std::string_view text) {
  Utf8Validator validator;
  return validator.feed(text) && validator.complete();
}

}  // namespace fasterapi::websocket
