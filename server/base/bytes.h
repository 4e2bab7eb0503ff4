// Small pure functions on bytes: the character classes of RFC 9110 and case-insensitive views.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fasterapi::base {

// Which bytes are ASCII letters, digits or one of these.
constexpr std::array<bool, 256> alphanumeric_or(std::string_view symbols) {
  std::array<bool, 256> table{};
  for (char c = '0'; c <= '9'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c : symbols) table[static_cast<unsigned char>(c)] = true;
  return table;
}

// RFC 9110 5.6.2: tchar, the characters of a token (method, field name).
bool is_tchar(char c);
bool is_token(std::string_view text);

// RFC 9110 5.5: field-value = VCHAR, obs-text, SP and HTAB; no other control character.
bool is_field_value(std::string_view text);

char to_lower(char c);  // ASCII only
bool equals_ignoring_case(std::string_view a, std::string_view b);
std::string_view trim_ows(std::string_view text);  // SP and HTAB at both ends, RFC 9110 5.6.3

// Calls visit(element) for each element of a list, empty ones too (RFC 9110 5.6.1).
template <class Visit>
void for_each_element(std::string_view list, Visit visit) {
  while (true) {
    std::size_t comma = list.find(',');
    visit(trim_ows(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

// Whether a comma-separated list (RFC 9110 5.6.1) holds the token, ignoring case.
bool list_has_token(std::string_view list, std::string_view token);

void append_decimal(std::string& out, std::uint64_t number);
void append_hex(std::string& out, std::uint64_t number);

}  // namespace fasterapi::base
