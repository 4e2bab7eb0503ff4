#include "server/sse/encoder.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "server/sse/parser.h"

namespace fasterapi::sse {
namespace {

using namespace std::string_literals;

std::string encoded(const Event& event) {
  std::string out;
  EXPECT_TRUE(append_event(event, out));
  return out;
}

std::string encoded_data(std::string_view data) { return encoded({.data = data}); }

std::string comment(std::string_view text) {
  std::string out;
  append_comment(text, out);
  return out;
}

std::string failure(const Event& event) {
  std::string out = "kept";
  auto result = append_event(event, out);
  EXPECT_EQ(out, "kept");
  return result ? "" : result.failure().reason;
}

TEST(SseEncoder, FieldsHaveOneOrderAndOneSpace) {
  EXPECT_EQ(encoded({.data = "d", .name = "n", .id = "7", .retry = 250}),
            "event: n\nid: 7\nretry: 250\ndata: d\n\n");
  EXPECT_EQ(encoded_data("d"), "data: d\n\n");
  EXPECT_EQ(encoded_data(" d"), "data:  d\n\n");
}

TEST(SseEncoder, AppendsBehindWhatIsThere) {
  std::string out = "data: 1\n\n";
  ASSERT_TRUE(append_event({.data = "2"}, out));
  append_comment("c", out);
  EXPECT_EQ(out, "data: 1\n\ndata: 2\n\n: c\n");
}

TEST(SseEncoder, DataIsSplitAtEachKindOfLineEnd) {
  EXPECT_EQ(encoded_data("a\nb\rc\r\nd"), "data: a\ndata: b\ndata: c\ndata: d\n\n");
  EXPECT_EQ(encoded_data("\n\r\n\r\r\n"), "data: \ndata: \ndata: \ndata: \ndata: \n\n");
  EXPECT_EQ(encoded_data("a\n\rb"), "data: a\ndata: \ndata: b\n\n");
  EXPECT_EQ(encoded_data("end\r"), "data: end\ndata: \n\n");
  // What Python's str.splitlines() splits at too is text here.
  EXPECT_EQ(encoded_data("\v\f\x1c\x85\xe2\x80\xa8"), "data: \v\f\x1c\x85\xe2\x80\xa8\n\n");
}

TEST(SseEncoder, NoTextForgesAFieldOrAnEvent) {
  const std::string hostile = "x\n\nevent: admin\rdata: 1\r\nid: 2\r\rretry: 1\n: c";
  Parser parser;
  parser.parse(encoded_data(hostile) + comment(hostile));
  ASSERT_EQ(parser.events.size(), 1U);
  EXPECT_EQ(parser.events[0], (ParsedEvent{"x\n\nevent: admin\ndata: 1\nid: 2\n\nretry: 1\n: c", "", ""}));
  EXPECT_EQ(parser.comments.size(), 8U);
  EXPECT_FALSE(parser.retry);
}

TEST(SseEncoder, EmptyDataIsAnEvent) {
  EXPECT_EQ(encoded_data(""), "data: \n\n");
  Parser parser;
  parser.parse(encoded_data(""));
  EXPECT_EQ(parser.events, (std::vector<ParsedEvent>{{"", "", ""}}));
}

TEST(SseEncoder, AbsentDataIsNoEvent) {
  EXPECT_EQ(encoded({.id = "7", .retry = 1}), "id: 7\nretry: 1\n\n");
  Parser parser;
  parser.parse(encoded({.id = "7"}));
  EXPECT_TRUE(parser.events.empty());
  EXPECT_EQ(parser.last_event_id, "7");
}

TEST(SseEncoder, AnEmptyIdResets) {
  Parser parser;
  parser.parse(encoded({.data = "1", .id = "7"}) + encoded({.data = "2", .id = ""}));
  EXPECT_EQ(parser.events, (std::vector<ParsedEvent>{{"1", "", "7"}, {"2", "", ""}}));
}

TEST(SseEncoder, RetryIsSentWhateverItsValue) {
  EXPECT_EQ(encoded({.data = "", .retry = 0}), "retry: 0\ndata: \n\n");
  EXPECT_EQ(encoded({.data = "", .retry = std::numeric_limits<std::uint64_t>::max()}),
            "retry: 18446744073709551615\ndata: \n\n");
}

TEST(SseEncoder, ALineEndInNameOrIdIsAFailure) {
  for (const std::string& bad : {"a\nb"s, "a\rb"s, "\r\n"s, "a\n"s}) {
    EXPECT_EQ(failure({.data = "d", .name = bad}), "the event's name has a line end");
    EXPECT_EQ(failure({.data = "d", .name = "n", .id = bad}), "the event's id has a line end or NUL");
  }
}

TEST(SseEncoder, NulIsAFailureInAnIdOnly) {
  EXPECT_EQ(failure({.data = "d", .id = "a\0b"s}), "the event's id has a line end or NUL");
  EXPECT_EQ(encoded({.data = "a\0b"s, .name = "c\0d"s}), "event: c\0d\ndata: a\0b\n\n"s);
}

TEST(SseEncoder, CommentsAreSplitToo) {
  EXPECT_EQ(comment("ping"), ": ping\n");
  EXPECT_EQ(comment(""), ": \n");
  EXPECT_EQ(comment("a\r\n\ndata: b"), ": a\n: \n: data: b\n");
}

TEST(SseEncoder, LongTextsOfManyLinesComeBack) {
  std::string data;
  for (int i = 0; i < 20'000; ++i) data += std::string(static_cast<std::size_t>(i % 7), 'x') + "\n";
  Parser parser;
  parser.parse(encoded_data(data));
  EXPECT_EQ(parser.events, (std::vector<ParsedEvent>{{data, "", ""}}));
}

}  // namespace
}  // namespace fasterapi::sse
