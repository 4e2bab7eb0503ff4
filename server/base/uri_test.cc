#include "server/base/uri.h"

#include <gtest/gtest.h>

#include <string>

namespace fasterapi::base {
namespace {

using namespace std::string_view_literals;

struct GoodTarget {
  std::string_view method, target;
  TargetForm form;
  std::string_view scheme, authority, path, query;
};

// RFC 9112 3.2.1 to 3.2.4
const GoodTarget kGoodTargets[] = {
    {"GET", "/", TargetForm::kOrigin, "", "", "/", ""},
    {"GET", "/a/b?x=1&y=2", TargetForm::kOrigin, "", "", "/a/b", "x=1&y=2"},
    {"GET", "/a?", TargetForm::kOrigin, "", "", "/a", ""},
    {"GET", "/a??b?", TargetForm::kOrigin, "", "", "/a", "?b?"},
    {"GET", "//a/../b;x=1/.", TargetForm::kOrigin, "", "", "//a/../b;x=1/.", ""},
    {"GET", "/%zz%4", TargetForm::kOrigin, "", "", "/%zz%4", ""},
    {"GET", "/\xc3\xa9", TargetForm::kOrigin, "", "", "/\xc3\xa9", ""},
    {"GET", "/http://x/", TargetForm::kOrigin, "", "", "/http://x/", ""},
    {"GET", "/\"<>\\^`{|}", TargetForm::kOrigin, "", "", "/\"<>\\^`{|}", ""},
    {"GET", "http://a.example/p?q", TargetForm::kAbsolute, "http", "a.example", "/p", "q"},
    {"GET", "HTTPS://[::1]:443/p", TargetForm::kAbsolute, "HTTPS", "[::1]:443", "/p", ""},
    {"GET", "http://a", TargetForm::kAbsolute, "http", "a", "/", ""},
    {"GET", "http://a?q", TargetForm::kAbsolute, "http", "a", "/", "q"},
    {"GET", "ws://a/", TargetForm::kAbsolute, "ws", "a", "/", ""},
    {"OPTIONS", "http://a:80", TargetForm::kAbsolute, "http", "a:80", "*", ""},
    {"OPTIONS", "http://a:80?q", TargetForm::kAbsolute, "http", "a:80", "/", "q"},
    {"OPTIONS", "*", TargetForm::kAsterisk, "", "", "*", ""},
    {"CONNECT", "a.example:443", TargetForm::kAuthority, "", "a.example:443", "", ""},
    {"CONNECT", "[::1]:443", TargetForm::kAuthority, "", "[::1]:443", "", ""},
};

TEST(SplitTarget, KnowsTheFourForms) {
  for (const GoodTarget& c : kGoodTargets) {
    SCOPED_TRACE(std::string(c.method) + " " + std::string(c.target));
    Result<Target> target = split_target(c.method, c.target);
    ASSERT_TRUE(target);
    EXPECT_EQ(target->form, c.form);
    EXPECT_EQ(target->scheme, c.scheme);
    EXPECT_EQ(target->authority, c.authority);
    EXPECT_EQ(target->path, c.path);
    EXPECT_EQ(target->query, c.query);
  }
}

TEST(SplitTarget, RefusesEverythingElseWith400) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"GET", ""},
      {"GET", "a"},
      {"GET", "*"},
      {"OPTIONS", "**"},
      {"GET", "/ "},
      {"GET", "/\x01"},
      {"GET", "/\x7f"},
      {"GET", "/a\0b"sv},
      {"GET", "/a\tb"},
      {"GET", "/a\rb"},
      {"GET", "/a#f"},
      {"GET", "http://a/#f"},
      {"GET", "http:"},
      {"GET", "http:/a"},
      {"GET", "http://"},
      {"GET", "http:///p"},
      {"GET", "http://:80"},
      {"GET", "http://u@a/"},
      {"GET", "http://u:p@a/"},
      {"GET", "http://a:x/"},
      {"GET", "http://a b/"},
      {"GET", "ftp://a/"},
      {"GET", "urn:a"},
      {"GET", "://a/"},
      {"GET", "a.example:443"},
      {"GET", "?q"},
      {"CONNECT", "/"},
      {"CONNECT", "a.example"},
      {"CONNECT", "a.example:"},
      {"CONNECT", "[::1]"},
      {"CONNECT", "http://a:80/"},
      {"CONNECT", ":80"},
      {"CONNECT", "*"},
  };
  for (const auto& [method, target] : cases) {
    Result<Target> result = split_target(method, target);
    ASSERT_FALSE(result) << method << " " << target;
    EXPECT_EQ(result.failure().status, 400);
  }
}

// RFC 3986 2.1
TEST(PercentDecode, DecodesEachEscapeOnce) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"%41", "A"},    {"a%2Fb", "a/b"},       {"%2541", "%41"},   {"%c3%A9", "\xc3\xa9"},
      {"%00", "\0"sv}, {"%ff%FE", "\xff\xfe"}, {"%zz%41", "%zzA"}, {"%41%4", "A%4"},
      {"%41%", "A%"},  {"+%20+", "+ +"},       {"%%41", "%A"},     {"%4%41", "%4A"},
  };
  for (const auto& [text, expected] : cases) {
    std::string out = "old";
    EXPECT_TRUE(percent_decode(text, out)) << text;
    EXPECT_EQ(out, expected) << text;
  }
}

TEST(PercentDecode, LeavesOutAloneWhenThereIsNothingToDecode) {
  for (std::string_view text : {""sv, "/abc"sv, "%"sv, "%4"sv, "%zz"sv, "%4g"sv, "%%%"sv, "a+b"sv}) {
    std::string out = "old";
    EXPECT_FALSE(percent_decode(text, out)) << text;
    EXPECT_EQ(out, "old");
  }
}

// RFC 9110 7.2, RFC 3986 3.2.2
TEST(IsAuthority, TakesHostsWithAndWithoutPort) {
  for (std::string_view good : {"",
                                "a",
                                "a.example",
                                "A.EXAMPLE:80",
                                "a:",
                                "a:0",
                                "a:65535",
                                "127.0.0.1:8000",
                                "a_b",
                                "a-b.",
                                "%41b",
                                "a!$&'()*+,;=~",
                                "[::1]",
                                "[::1]:80",
                                "[::]",
                                "[1:2:3:4:5:6:7:8]",
                                "[2001:db8::a:b]",
                                "[1::]",
                                "[::ffff:1.2.3.4]",
                                "[1:2:3:4:5:6:1.2.3.4]",
                                "[v1.a:b]",
                                "[vF.x]",
                                "xn--bcher-kva.example"}) {
    EXPECT_TRUE(is_authority(good)) << good;
  }
}

TEST(IsAuthority, RefusesEverythingElse) {
  for (std::string_view bad : {" "sv,
                               "a b"sv,
                               "a/b"sv,
                               "a?b"sv,
                               "a#b"sv,
                               "u@a"sv,
                               "a:b"sv,
                               "a:80:80"sv,
                               "a:65536"sv,
                               "a:000080"sv,
                               "a:-1"sv,
                               ":80"sv,
                               ":"sv,
                               "a\\b"sv,
                               "a\tb"sv,
                               "a\0b"sv,
                               "\xc3\xa9"sv,
                               "%4"sv,
                               "%zz"sv,
                               "a, b"sv,
                               "["sv,
                               "[]"sv,
                               "[::1"sv,
                               "::1"sv,
                               "[::1]80"sv,
                               "[::1]:x"sv,
                               "[1]"sv,
                               "[1:2:3:4:5:6:7]"sv,
                               "[1:2:3:4:5:6:7:8:9]"sv,
                               "[1::2::3]"sv,
                               "[:::]"sv,
                               "[12345::]"sv,
                               "[g::]"sv,
                               "[::1.2.3]"sv,
                               "[::256.1.1.1]"sv,
                               "[::01.2.3.4]"sv,
                               "[1.2.3.4::]"sv,
                               "[1:2:3:4:5:6:7::8]"sv,
                               "[fe80::1%25eth0]"sv,
                               "[v.a]"sv,
                               "[v1.]"sv,
                               "[vg.a]"sv,
                               "[v1.%41]"sv,
                               "[1:]"sv,
                               "[:1]"sv}) {
    EXPECT_FALSE(is_authority(bad)) << bad;
  }
}

}  // namespace
}  // namespace fasterapi::base
