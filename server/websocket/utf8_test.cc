#include "server/websocket/utf8.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace fasterapi::websocket {
namespace {

using namespace std::string_view_literals;

// RFC 3629 3, from a code point to its bytes.
std::string encoded(std::uint32_t point) {
  auto tail = [point](int shift) { return static_cast<char>(0x80 | ((point >> shift) & 0x3f)); };
  if (point < 0x80) return {static_cast<char>(point)};
  if (point < 0x800) return {static_cast<char>(0xc0 | point >> 6), tail(0)};
  if (point < 0x10000) return {static_cast<char>(0xe0 | point >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xf0 | point >> 18), tail(12), tail(6), tail(0)};
}

bool is_surrogate(std::uint32_t point) { return point >= 0xd800 && point <= 0xdfff; }

// Bytes of `text` until the first that cannot be right, which is that many and one.
std::size_t good_bytes(std::string_view text) {
  Utf8Validator validator;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!validator.feed(text.substr(i, 1))) return i;
  }
  return text.size();
}

// Alone, before and behind other text, whole and byte by byte: all must agree.
bool is_valid(std::string_view text) {
  const bool valid = is_utf8(text);
  Utf8Validator bytewise;
  bool fed = true;
  for (char byte : text) fed = bytewise.feed({&byte, 1});
  EXPECT_EQ(fed && bytewise.complete(), valid);
  const std::string before = std::string(text).append("and then ASCII, longer than a step of the loop");
  const std::string behind = "ASCII, longer than a step of the loop, and \xe2\x82\xac" + std::string(text);
  EXPECT_EQ(is_utf8(before), valid);
  EXPECT_EQ(is_utf8(behind), valid);
  return valid;
}

TEST(Utf8, EveryCodePointAndNoSurrogate) {
  for (std::uint32_t point = 0; point <= 0x10ffff; ++point) {
    const std::string text = encoded(point);
    ASSERT_EQ(is_utf8(text), !is_surrogate(point)) << point;
    ASSERT_EQ(is_utf8(text + "abc"), !is_surrogate(point)) << point;
    ASSERT_EQ(good_bytes(text), is_surrogate(point) ? 1 : text.size()) << point;
  }
  for (std::uint32_t point : {0x110000u, 0x13ffffu, 0x140000u, 0x1fffffu})
    EXPECT_FALSE(is_valid(encoded(point)));
}

TEST(Utf8, EverySequenceOfUpToThreeBytes) {
  std::set<std::string> valid;
  for (std::uint32_t point = 0; point < 0x10000; ++point) {
    if (!is_surrogate(point)) valid.insert(encoded(point));
  }
  std::string text(1, '\0');
  for (int first = 0; first < 256; ++first) {
    text = {static_cast<char>(first)};
    ASSERT_EQ(is_valid(text), first < 0x80);
    for (int second = 0; second < 256; ++second) {
      text = {static_cast<char>(first), static_cast<char>(second)};
      ASSERT_EQ(is_valid(text), (first < 0x80 && second < 0x80) || valid.contains(text));
    }
  }
  // Of three bytes those that begin as three.
  for (int first = 0xe0; first < 0xf0; ++first) {
    for (int second = 0; second < 256; ++second) {
      for (int third = 0x70; third < 0xd0; ++third) {
        text = {static_cast<char>(first), static_cast<char>(second), static_cast<char>(third)};
        ASSERT_EQ(is_utf8(text), valid.contains(text)) << first << " " << second << " " << third;
        ASSERT_EQ(is_utf8(text + "x"), valid.contains(text));
      }
    }
  }
}

// Unicode 15, table 3-7: what may follow a first byte of four.
TEST(Utf8, SequencesOfFourBytes) {
  for (int first = 0xf0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const bool begins = first == 0xf0   ? second >= 0x90 && second <= 0xbf
                          : first == 0xf4 ? second >= 0x80 && second <= 0x8f
                                          : first < 0xf4 && second >= 0x80 && second <= 0xbf;
      for (int third : {0x7f, 0x80, 0xbf, 0xc0}) {
        for (int fourth : {0x7f, 0x80, 0xbf, 0xc0}) {
          const std::string text = {static_cast<char>(first), static_cast<char>(second),
                                    static_cast<char>(third), static_cast<char>(fourth)};
          const bool tails = third >= 0x80 && third <= 0xbf && fourth >= 0x80 && fourth <= 0xbf;
          ASSERT_EQ(is_valid(text), begins && tails)
              << first << " " << second << " " << third << " " << fourth;
        }
      }
    }
  }
}

// The groups of Autobahn's section 6.
TEST(Utf8, TextsOfTheField) {
  for (std::string_view good :
       {""sv, "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!"sv,
        "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"sv, "\x00"sv, "\x7f"sv, "\xdf\xbf"sv, "\xef\xbf\xbf"sv,
        "\xf4\x8f\xbf\xbf"sv, "\xef\xbf\xbd"sv, "\xee\x80\x80"sv, "\xed\x9f\xbf"sv, "\xef\xbb\xbf"sv,
        "\xf0\x9f\xbf\xbe"sv, "\xf4\x8f\xbf\xbe"sv, "\xf0\x90\x80\x80"sv}) {
    EXPECT_TRUE(is_valid(good)) << good;
  }
  for (std::string_view bad :
       {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64"sv,
        "\xc0\xaf"sv,
        "\xe0\x80\xaf"sv,
        "\xf0\x80\x80\xaf"sv,
        "\xf8\x80\x80\x80\xaf"sv,
        "\xfc\x80\x80\x80\x80\xaf"sv,
        "\xc1\xbf"sv,
        "\xe0\x9f\xbf"sv,
        "\xf0\x8f\xbf\xbf"sv,
        "\xf8\x87\xbf\xbf\xbf"sv,
        "\xc0\x80"sv,
        "\xed\xa0\x80"sv,
        "\xed\xbf\xbf"sv,
        "\xed\xa0\x80\xed\xb0\x80"sv,
        "\x80"sv,
        "\xbf"sv,
        "\x80\xbf\x80"sv,
        "\xc0 "sv,
        "\xfe"sv,
        "\xff"sv,
        "\xfe\xfe\xff\xff"sv,
        "\xce"sv,
        "\xe1\xbd"sv,
        "\xf0\x90\x80"sv,
        "\xf4\x90\x80\x80"sv,
        "\xf7\xbf\xbf\xbf"sv,
        "\xfb\xbf\xbf\xbf\xbf"sv,
        "\xfd\xbf\xbf\xbf\xbf\xbf"sv}) {
    EXPECT_FALSE(is_valid(bad)) << bad;
  }
}

// RFC 6455 8.1, and Autobahn's 6.4: the byte itself, not the end of its sequence.
TEST(Utf8, ABadByteIsSeenWhenItComes) {
  EXPECT_EQ(good_bytes("\xce\xba\xe1\xbd\xb9\xcf\x83\xf4\x90\x80\x80 more"), 8u);
  EXPECT_EQ(good_bytes("\xed\xa0\x80"), 1u);
  EXPECT_EQ(good_bytes("\xe0\x9f\xbf"), 1u);
  EXPECT_EQ(good_bytes("\xf0\x8f\xbf\xbf"), 1u);
  EXPECT_EQ(good_bytes("a\xc0\x80"), 1u);
  EXPECT_EQ(good_bytes("a\xf5\x80\x80\x80"), 1u);
  EXPECT_EQ(good_bytes("\xf0\x9f\x98 "), 3u);
}

TEST(Utf8, ABadByteAnywhereInALongTextIsSeen) {
  for (std::size_t at = 0; at < 200; ++at) {
    std::string text(200, 'a');
    EXPECT_TRUE(is_utf8(text));
    text[at] = '\xff';
    EXPECT_FALSE(is_utf8(text)) << at;
    text[at] = '\x80';
    EXPECT_FALSE(is_utf8(text)) << at;
  }
}

TEST(Utf8, EveryPlaceOfACutSaysTheSame) {
  const std::string text =
      "A longer ASCII text, and then \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf; ASCII again.";
  for (std::size_t first = 0; first <= text.size(); ++first) {
    Utf8Validator validator;
    EXPECT_TRUE(validator.feed(text.substr(0, first)));
    EXPECT_TRUE(validator.feed({}));
    EXPECT_TRUE(validator.feed(text.substr(first)));
    EXPECT_TRUE(validator.complete());
  }
}

TEST(Utf8, IsInvalidForEverUntilReset) {
  Utf8Validator validator;
  EXPECT_TRUE(validator.feed("a\xe2"));
  EXPECT_FALSE(validator.complete());
  EXPECT_FALSE(validator.feed("\xff"));
  EXPECT_FALSE(validator.feed("a"));
  EXPECT_FALSE(validator.feed({}));
  EXPECT_FALSE(validator.complete());
  validator.reset();
  EXPECT_TRUE(validator.feed("a"));
  EXPECT_TRUE(validator.complete());
}

}  // namespace
}  // namespace fasterapi::websocket
