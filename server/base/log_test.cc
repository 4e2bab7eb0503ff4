#include "server/base/log.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace fasterapi::base {
namespace {

using Lines = std::vector<std::pair<LogLevel, std::string>>;

Log::Sink into(Lines& lines) {
  return [&lines](LogLevel level, std::string_view message) { lines.emplace_back(level, message); };
}

TEST(Log, GivesMessagesWithTheirLevelToTheSink) {
  Lines lines;
  Log log(LogLevel::kTrace, into(lines));
  log.write(LogLevel::kTrace, "t");
  log.debug("d");
  log.info("i");
  log.warning("w");
  log.error("e");
  log.write(LogLevel::kCritical, "c");
  Lines expected = {{LogLevel::kTrace, "t"},   {LogLevel::kDebug, "d"}, {LogLevel::kInfo, "i"},
                    {LogLevel::kWarning, "w"}, {LogLevel::kError, "e"}, {LogLevel::kCritical, "c"}};
  EXPECT_EQ(lines, expected);
}

TEST(Log, LeavesOutWhatIsBelowItsLevel) {
  Lines lines;
  Log log(LogLevel::kWarning, into(lines));
  EXPECT_FALSE(log.enabled(LogLevel::kInfo));
  EXPECT_TRUE(log.enabled(LogLevel::kWarning));
  log.info("no");
  log.warning("yes");
  EXPECT_EQ(lines, (Lines{{LogLevel::kWarning, "yes"}}));
}

TEST(Log, OffIsSilentAndNoLevelOfAMessage) {
  Lines lines;
  Log off(LogLevel::kOff, into(lines));
  off.write(LogLevel::kCritical, "no");
  off.write(LogLevel::kOff, "no");
  EXPECT_TRUE(lines.empty());
}

TEST(Log, TakesAMessageForNoFormat) {
  Lines lines;
  Log log(LogLevel::kInfo, into(lines));
  log.info("{} %s {0:x}");
  EXPECT_EQ(lines.at(0).second, "{} %s {0:x}");
}

TEST(Log, IsIndependentOfOtherLogs) {
  Lines first;
  Lines second;
  Log a(LogLevel::kInfo, into(first));
  Log b(LogLevel::kError, into(second));
  a.info("a");
  b.info("b");
  EXPECT_EQ(first.size(), 1u);
  EXPECT_TRUE(second.empty());
}

// As uvicorn writes them.
TEST(Log, WritesAlignedLinesToStandardError) {
  Log log(LogLevel::kTrace);
  testing::internal::CaptureStderr();
  log.write(LogLevel::kTrace, "m");
  log.debug("m");
  log.info("m");
  log.warning("m");
  log.error("m");
  log.write(LogLevel::kCritical, "m");
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "TRACE:    m\nDEBUG:    m\nINFO:     m\nWARNING:  m\nERROR:    m\nCRITICAL: m\n");
}

// reliability C11
TEST(AppendEscaped, LeavesNothingThatDrivesATerminalOrEndsAField) {
  std::string out = "x ";
  append_escaped(out, std::string_view("a b~\"\\\n\x1b[31m\x7f\xc2\x9b\0", 16));
  EXPECT_EQ(out, "x a b~\\x22\\x5c\\x0a\\x1b[31m\\x7f\\xc2\\x9b\\x00");
}

}  // namespace
}  // namespace fasterapi::base
