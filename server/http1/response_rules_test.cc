// Lines that the server adds, the application's faults, slices and reuse.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <tuple>
#include <vector>

#include "server/http1/answer.h"

namespace fasterapi::http1 {
namespace {

using base::Header;
using base::Last;
using namespace std::string_view_literals;

// --- Lines that the server adds ------------------------------------------------------------

constexpr DefaultHeaders kDefaults = {.date = "now", .server = "us", .extra = "x-extra: 1\r\n"};

TEST(ResponseDefaults, ComeFirst) {
  Answer answer(kGet, kDefaults);
  ASSERT_TRUE(answer.head(200, {{"x", "y"}, {"content-length", "0"}}));
  EXPECT_EQ(answer.sent(),
            "HTTP/1.1 200 OK\r\ndate: now\r\nserver: us\r\nx-extra: 1\r\nx: y\r\ncontent-length: 0\r\n\r\n");
}

// RFC 9110 6.6.1
TEST(ResponseDefaults, GiveWayToTheApplications) {
  Answer answer(kGet, kDefaults);
  ASSERT_TRUE(answer.head(200, {{"Server", "app"}, {"DATE", "then"}, {"content-length", "0"}}));
  EXPECT_EQ(answer.sent(),
            "HTTP/1.1 200 OK\r\nx-extra: 1\r\nServer: app\r\nDATE: then\r\ncontent-length: 0\r\n\r\n");
}

TEST(ErrorResponse, IsWholeAndCloses) {
  base::Output output;
  append_error_response(output, 431, kDefaults);
  EXPECT_EQ(output.to_string(),
            "HTTP/1.1 431 Request Header Fields Too Large\r\ndate: now\r\nserver: us\r\nx-extra: 1\r\n"
            "content-type: text/plain; charset=utf-8\r\ncontent-length: 31\r\nconnection: close\r\n\r\n"
            "Request Header Fields Too Large");
  EXPECT_EQ(output.size(), output.to_string().size());
}

TEST(ErrorResponse, MayHaveNoDefaults) {
  base::Output output;
  append_error_response(output, 400, {});
  EXPECT_EQ(output.to_string(),
            "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
            "content-length: 11\r\nconnection: close\r\n\r\nBad Request");
}

// --- The application's faults: a Failure, and not a byte -----------------------------------

void expect_refused(int status, const std::vector<Header>& headers, std::string_view part_of_reason) {
  Answer answer;
  base::Result<void> result = answer.head(status, headers);
  ASSERT_FALSE(result) << part_of_reason;
  EXPECT_EQ(result.failure().status, 500);
  EXPECT_NE(result.failure().reason.find(part_of_reason), std::string::npos) << result.failure().reason;
  EXPECT_TRUE(answer.codec.output().empty());
  EXPECT_FALSE(answer.codec.head_sent());
  // The answer to that fault can still be sent, and the connection goes on.
  ASSERT_TRUE(answer.head(500, {{"content-length", "0"}}));
  ASSERT_TRUE(answer.body("", Last::kYes));
  EXPECT_EQ(answer.sent(), "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
  EXPECT_FALSE(answer.codec.wants_close());
}

// RFC 9110 15: 1xx are interim, and 101 would be another protocol.
TEST(ResponseFault, StatusThatIsNotFinal) {
  for (int status : {-1, 0, 1, 99, 100, 101, 103, 199, 1000, 65736})
    expect_refused(status, {}, std::to_string(status));
}

// RFC 9110 5.5, reliability C7
TEST(ResponseFault, ControlInAValue) {
  for (int c = 0; c < 256; ++c) {
    std::string value = "0123456789abcdefX-y";
    value[16] = static_cast<char>(c);
    if ((c >= 0x20 || c == '\t') && c != 0x7f) {
      Answer answer;
      EXPECT_TRUE(answer.head(200, {{"x-name", value}})) << c;
    } else {
      expect_refused(200, {{"connection", "close"}, {"x-name", value}}, "\"x-name\"");
    }
  }
}

// RFC 9110 5.1
TEST(ResponseFault, NameThatIsNoToken) {
  expect_refused(200, {{"", "v"}}, "\"\"");
  expect_refused(200, {{"a b", "v"}}, "\"a b\"");
  expect_refused(200, {{":status", "v"}}, "\":status\"");
  expect_refused(200, {{"a:", "v"}}, "\"a:\"");
  expect_refused(200, {{"x\r\nset-cookie", "v"}}, "\"x\\x0d\\x0aset-cookie\"");
  expect_refused(200, {{"x\0"sv, "v"}}, "\"x\\x00\"");
  expect_refused(200, {{"\xc3\xa9", "v"}}, "\"\\xc3\\xa9\"");
}

TEST(ResponseFault, FieldsThatAreDroppedAreCheckedToo) {
  expect_refused(200, {{"connection", "close\r\nx: y"}}, "\"connection\"");
  expect_refused(200, {{"transfer-encoding", "\n"}}, "\"transfer-encoding\"");
}

// RFC 9110 8.6
TEST(ResponseFault, ContentLengthThatIsNone) {
  for (std::string_view value :
       {"", " 5", "5 ", "+5", "-5", "5,5", "0x5", "5.0", "five", "18446744073709551616"}) {
    expect_refused(200, {{"Content-Length", value}}, "\"Content-Length\"");
  }
  expect_refused(200, {{"content-length", "5"}, {"content-length", "5"}}, "\"content-length\"");
  expect_refused(200, {{"content-length", "5"}, {"Content-Length", "6"}}, "\"Content-Length\"");
}

TEST(ResponseFault, MoreBodyThanAnnounced) {
  Answer answer;
  ASSERT_TRUE(answer.head(200, {{"content-length", "5"}}));
  ASSERT_TRUE(answer.body("abc", Last::kNo));
  std::string before = answer.sent();
  base::Result<void> result = answer.body("def", Last::kYes);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.failure().status, 500);
  EXPECT_EQ(answer.sent(), before);
  EXPECT_FALSE(answer.codec.response_complete());
  ASSERT_TRUE(answer.body("de", Last::kYes));
  EXPECT_TRUE(answer.codec.response_complete());
}

TEST(ResponseFault, LessBodyThanAnnounced) {
  Answer answer;
  ASSERT_TRUE(answer.head(200, {{"content-length", "5"}}));
  std::string before = answer.sent();
  base::Result<void> result = answer.body("abc", Last::kYes);
  ASSERT_FALSE(result);
  EXPECT_EQ(answer.sent(), before);
  EXPECT_FALSE(answer.codec.response_complete());
  EXPECT_TRUE(answer.codec.wants_close());
}

TEST(ResponseFault, CallsOutOfOrder) {
  base::Settings settings;
  Codec codec(settings);
  EXPECT_FALSE(codec.send_head({200, {}}, {}));
  EXPECT_FALSE(codec.send_body("x"sv, Last::kYes));
  codec.receive(kGet);
  EXPECT_FALSE(codec.send_body("x"sv, Last::kYes));
  EXPECT_TRUE(codec.output().empty());
  ASSERT_TRUE(codec.send_head({200, {}}, {}));
  EXPECT_FALSE(codec.send_head({200, {}}, {}));
  ASSERT_TRUE(codec.send_body("x"sv, Last::kYes));
  std::string before = codec.output().to_string();
  EXPECT_FALSE(codec.send_head({200, {}}, {}));
  EXPECT_FALSE(codec.send_body("x"sv, Last::kYes));
  EXPECT_FALSE(codec.send_body(""sv, Last::kYes));
  EXPECT_EQ(codec.output().to_string(), before);
}

// --- Body ----------------------------------------------------------------------------------

TEST(ResponseBody, IsKnownToBeDropped) {
  for (auto [request, status, dropped] : {std::tuple(kGet, 200, false),
                                          {kHead, 200, true},
                                          {kGet, 204, true},
                                          {kGet, 304, true},
                                          {kGet10, 200, false}}) {
    Answer answer(request);
    EXPECT_FALSE(answer.codec.response_has_no_body());
    ASSERT_TRUE(answer.head(status));
    EXPECT_EQ(answer.codec.response_has_no_body(), dropped);
  }
}

TEST(ResponseBody, IsOpenEndedWhileItMayGrow) {
  const base::Header length[] = {{"content-length", "2"}};
  for (auto [request, status, headers, open_ended] :
       {std::tuple(kGet, 200, std::span<const base::Header>(), true),
        {kGet10, 200, {}, true},
        {kGet, 200, length, false},
        {kHead, 200, {}, false},
        {kGet, 204, {}, false}}) {
    base::Settings settings;
    Codec codec(settings);
    codec.receive(request);
    EXPECT_FALSE(codec.response_open_ended());
    ASSERT_TRUE(codec.send_head({status, headers}, {}));
    EXPECT_EQ(codec.response_open_ended(), open_ended);
    ASSERT_TRUE(codec.send_body(open_ended || !headers.empty() ? "xy"sv : ""sv, Last::kYes));
    EXPECT_FALSE(codec.response_open_ended());
  }
}

struct Owner {
  base::Slice slice() {
    return {bytes, this, [](void* self) { ++static_cast<Owner*>(self)->released; }};
  }
  std::string bytes;
  int released = 0;
};

TEST(ResponseBody, LargeSlicesAreKeptAndSmallOnesCopied) {
  Answer answer;
  const std::size_t threshold = answer.settings.zero_copy_threshold;
  Owner small{std::string(threshold - 1, 's')};
  Owner large{std::string(threshold, 'l')};
  ASSERT_TRUE(answer.head(200));
  ASSERT_TRUE(answer.codec.send_body(small.slice(), Last::kNo));
  EXPECT_EQ(small.released, 1);
  ASSERT_TRUE(answer.codec.send_body(large.slice(), Last::kYes));
  EXPECT_EQ(large.released, 0);
  EXPECT_EQ(answer.sent(), "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3fff\r\n" + small.bytes +
                               "\r\n4000\r\n" + large.bytes + "\r\n0\r\n\r\n");
  std::array<iovec, 4> vectors;
  ASSERT_EQ(answer.codec.output().gather(vectors), 3u);
  EXPECT_EQ(vectors[1].iov_base, large.bytes.data());
  answer.codec.output().clear();
  EXPECT_EQ(large.released, 1);
}

TEST(ResponseBody, ARefusedOrDroppedSliceIsReleased) {
  Answer refused;
  Owner owner{std::string(refused.settings.zero_copy_threshold, 'x')};
  ASSERT_TRUE(refused.head(200, {{"content-length", "1"}}));
  EXPECT_FALSE(refused.codec.send_body(owner.slice(), Last::kYes));
  EXPECT_EQ(owner.released, 1);
  Answer dropped(kHead);
  ASSERT_TRUE(dropped.head(200));
  EXPECT_TRUE(dropped.codec.send_body(owner.slice(), Last::kYes));
  EXPECT_EQ(owner.released, 2);
}

TEST(ResponseBody, AWholeSmallAnswerIsOneRun) {
  Answer answer;
  ASSERT_TRUE(answer.head(200));
  ASSERT_TRUE(answer.body("hello", Last::kYes));
  std::array<iovec, 4> vectors;
  EXPECT_EQ(answer.codec.output().gather(vectors), 1u);
}

// --- Reuse ---------------------------------------------------------------------------------

TEST(ResponseReuse, AnswersFollowEachOther) {
  base::Settings settings;
  Codec codec(settings);
  std::string expected;
  for (std::string_view request : {kGet, kHead, kGet}) {
    codec.receive(request);
    ASSERT_TRUE(codec.send_head({200, {}}, {}));
    ASSERT_TRUE(codec.send_body("x"sv, Last::kYes));
    EXPECT_FALSE(codec.wants_close());
    codec.resume();
    EXPECT_FALSE(codec.head_sent());
    EXPECT_FALSE(codec.response_complete());
    EXPECT_FALSE(codec.response_has_no_body());
    expected += request == kHead ? "HTTP/1.1 200 OK\r\n\r\n"
                                 : "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
  }
  EXPECT_EQ(codec.output().to_string(), expected);
}

TEST(ResponseReuse, CloseAfterResponseIsAnnounced) {
  Answer answer;
  answer.codec.close_after_response();
  EXPECT_TRUE(answer.codec.wants_close());
  ASSERT_TRUE(answer.head(200, {{"content-length", "0"}}));
  EXPECT_EQ(answer.sent(), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

TEST(ResponseReuse, CloseAfterResponseHoldsBeforeARequestAndAfterAHead) {
  base::Settings settings;
  Codec codec(settings);
  codec.close_after_response();
  codec.receive(kGet);
  ASSERT_TRUE(codec.send_head({204, {}}, {}));
  EXPECT_EQ(codec.output().to_string(), "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
  Answer late;
  ASSERT_TRUE(late.head(204));
  EXPECT_FALSE(late.codec.wants_close());
  late.codec.close_after_response();
  EXPECT_TRUE(late.codec.wants_close());
}

}  // namespace
}  // namespace fasterapi::http1
