#include "server/base/bytes.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace fasterapi::base {

namespace {

constexpr std::string_view kTcharSymbols = "!#$%&'*+-.^_`|~";

constexpr std::array<bool, 256> kTchars = alphanumeric_or(kTcharSymbols);

constexpr bool is_field_byte(char c) {
  auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x20 || byte == '\t') && byte != 0x7f;
}

constexpr bool is_ows(char c) { return c == ' ' || c == '\t'; }

void append_number(std::string& out, std::uint64_t number, int base) {
  std::array<char, 20> digits;  // 2^64 - 1 has 20 decimal digits
  auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr;
  out.append(digits.data(), end);
}

}  // namespace

bool is_tchar(char c) { return kTchars[static_cast<unsigned char>(c)]; }

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_tchar);
}

bool is_field_value(std::string_view text) {
  // Eight bytes at a time; a word with a byte below 0x20, or DEL, is looked at byte by byte.
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHighs = 0x8080808080808080;
  const char* at = text.data();
  std::size_t left = text.size();
  for (; left >= sizeof(std::uint64_t); at += sizeof(std::uint64_t), left -= sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    std::uint64_t del = word ^ (kOnes * 0x7f);
    bool suspect = (((word - kOnes * 0x20) & ~word) | ((del - kOnes) & ~del)) & kHighs;
    if (suspect && !std::all_of(at, at + sizeof word, is_field_byte)) return false;
  }
  return std::all_of(at, at + left, is_field_byte);
}

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  if (a == b) return true;  // nearly always, and compared by words
  return std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return to_lower(x) == to_lower(y); });
}

std::string_view trim_ows(std::string_view text) {
  while (!text.empty() && is_ows(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_ows(text.back())) text.remove_suffix(1);
  return text;
}

bool list_has_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    std::size_t comma = std::min(list.find(','), list.size());
    if (equals_ignoring_case(trim_ows(list.substr(0, comma)), token)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

void append_decimal(std::string& out, std::uint64_t number) { append_number(out, number, 10); }
void append_hex(std::string& out, std::uint64_t number) { append_number(out, number, 16); }

}  // namespace fasterapi::base
