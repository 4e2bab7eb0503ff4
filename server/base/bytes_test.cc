#include "server/base/bytes.h"

#include <gtest/gtest.h>

#include <limits>

namespace fasterapi::base {
namespace {

using namespace std::string_view_literals;

// RFC 9110 5.6.2
TEST(Tchar, IsExactlyTheCharactersOfTheGrammar) {
  constexpr std::string_view kAll =
      "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  for (int c = 0; c < 256; ++c) {
    bool expected = kAll.find(static_cast<char>(c)) != std::string_view::npos;
    EXPECT_EQ(is_tchar(static_cast<char>(c)), expected) << c;
  }
}

TEST(Token, IsNotEmptyAndHasTcharsOnly) {
  EXPECT_TRUE(is_token("x-Name_1"));
  for (std::string_view bad : {""sv, "a b"sv, "a:"sv, "a\0"sv, "\xe9"sv, "a\r\n"sv})
    EXPECT_FALSE(is_token(bad)) << bad;
}

// RFC 9110 5.5
TEST(FieldValue, HoldsNoControlButTab) {
  for (int c = 0; c < 256; ++c) {
    std::string text = "0123456789abcdef0123456789abcdef_";
    text.push_back(static_cast<char>(c));
    bool control = (c < 0x20 && c != '\t') || c == 0x7f;
    EXPECT_EQ(is_field_value(text), !control) << c;
  }
  EXPECT_TRUE(is_field_value(""));
}

TEST(ToLower, ChangesAsciiCapitalsOnly) {
  for (int c = 0; c < 256; ++c) {
    int expected = c >= 'A' && c <= 'Z' ? c + 32 : c;
    EXPECT_EQ(to_lower(static_cast<char>(c)), static_cast<char>(expected)) << c;
  }
}

TEST(EqualsIgnoringCase, ComparesAsciiLettersWithoutCase) {
  EXPECT_TRUE(equals_ignoring_case("Content-Length", "content-lENGTH"));
  EXPECT_TRUE(equals_ignoring_case("", ""));
  EXPECT_FALSE(equals_ignoring_case("a", "ab"));
  EXPECT_FALSE(equals_ignoring_case("^", "~"));  // differ by 0x20, as letters do
  EXPECT_FALSE(equals_ignoring_case("\xc9", "\xe9"));
}

// RFC 9110 5.6.3
TEST(TrimOws, TakesSpacesAndTabsAtBothEnds) {
  EXPECT_EQ(trim_ows(" \t a b \t"), "a b");
  EXPECT_EQ(trim_ows(" \t "), "");
  EXPECT_EQ(trim_ows(""), "");
  EXPECT_EQ(trim_ows("\va\n"), "\va\n");
}

// RFC 9110 5.6.1
TEST(ListHasToken, LooksAtWholeElements) {
  EXPECT_TRUE(list_has_token("close", "close"));
  EXPECT_TRUE(list_has_token("keep-alive,\tClose ", "close"));
  EXPECT_TRUE(list_has_token(",, close", "close"));
  EXPECT_FALSE(list_has_token("closed, not-close, close;q", "close"));
  EXPECT_FALSE(list_has_token("", "close"));
  EXPECT_FALSE(list_has_token(",", "close"));
}

TEST(AppendNumber, WritesTheShortestForm) {
  std::string out = "n=";
  append_decimal(out, 0);
  append_decimal(out, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(out, "n=018446744073709551615");
  out.clear();
  append_hex(out, 0);
  append_hex(out, 0xdeadBEEF);
  append_hex(out, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(out, "0deadbeefffffffffffffffff");
}

}  // namespace
}  // namespace fasterapi::base
