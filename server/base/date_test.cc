#include "server/base/date.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace fasterapi::base {
namespace {

// RFC 9110 5.6.7: IMF-fixdate
TEST(DateCache, WritesImfFixdate) {
  struct Case {
    std::time_t time;
    std::string_view text;
  };
  const Case cases[] = {
      {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},  // the RFC's own example
      {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
      {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
      {1735689599, "Tue, 31 Dec 2024 23:59:59 GMT"},
      {4102444800, "Fri, 01 Jan 2100 00:00:00 GMT"},
      {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
  };
  DateCache cache;
  for (const Case& c : cases) EXPECT_EQ(cache.at(c.time), c.text);
}

TEST(DateCache, RendersAgainWhenTheSecondChanges) {
  DateCache cache;
  EXPECT_EQ(cache.at(59), "Thu, 01 Jan 1970 00:00:59 GMT");
  EXPECT_EQ(cache.at(59), "Thu, 01 Jan 1970 00:00:59 GMT");
  EXPECT_EQ(cache.at(60), "Thu, 01 Jan 1970 00:01:00 GMT");
  EXPECT_EQ(cache.at(59), "Thu, 01 Jan 1970 00:00:59 GMT");  // a clock that was set back
}

TEST(DateCache, StaysWithinTheFourDigitYears) {
  DateCache cache;
  EXPECT_EQ(cache.at(std::numeric_limits<std::time_t>::max()), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(cache.at(-1), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(cache.at(std::numeric_limits<std::time_t>::min()), "Thu, 01 Jan 1970 00:00:00 GMT");
}

}  // namespace
}  // namespace fasterapi::base
