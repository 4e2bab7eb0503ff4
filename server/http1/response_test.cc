#include <gtest/gtest.h>

#include <array>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "server/http1/codec.h"

namespace fasterapi::http1 {
namespace {

using base::Header;
using base::Last;
using namespace std::string_view_literals;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kHead = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kGetClose = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
constexpr std::string_view kGet10 = "GET / HTTP/1.0\r\n\r\n";
constexpr std::string_view kGet10Keep = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
constexpr std::string_view kHead10Keep = "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";

// One request, and what is answered to it.
class Answer {
 public:
  explicit Answer(std::string_view request = kGet, const DefaultHeaders& defaults = {})
      : request_(request), defaults_(defaults) {
    codec.receive(request_);
  }

  base::Result<void> head(int status, std::vector<Header> headers = {}) {
    return codec.send_head({status, headers}, defaults_);
  }
  base::Result<void> body(std::string_view bytes, Last last) { return codec.send_body(bytes, last); }
  std::string sent() { return codec.output().to_string(); }

  base::Settings settings;
  Codec codec{settings};

 private:
  std::string request_;
  DefaultHeaders defaults_;
};

struct Case {
  const char* name;
  const char* section;
  std::string_view request;
  int status;
  std::vector<Header> headers;
  std::vector<std::string_view> body;  // the last with Last::kYes
  std::string_view expected;
  bool closes;
};
void PrintTo(const Case& c, std::ostream* out) { *out << "RFC " << c.section; }

std::string name_of(const testing::TestParamInfo<Case>& info) { return info.param.name; }

class Response : public testing::TestWithParam<Case> {};

TEST_P(Response, IsWritten) {
  const Case& c = GetParam();
  Answer answer(c.request);
  ASSERT_TRUE(answer.head(c.status, c.headers));
  EXPECT_TRUE(answer.codec.head_sent());
  for (std::size_t i = 0; i < c.body.size(); ++i) {
    EXPECT_FALSE(answer.codec.response_complete());
    ASSERT_TRUE(answer.body(c.body[i], i + 1 == c.body.size() ? Last::kYes : Last::kNo));
  }
  EXPECT_EQ(answer.sent(), c.expected);
  EXPECT_EQ(answer.codec.output().size(), c.expected.size());
  EXPECT_TRUE(answer.codec.response_complete());
  EXPECT_EQ(answer.codec.wants_close(), c.closes);
}

const Case kCases[] = {
    {"ContentLength",
     "9112 6.2",
     kGet,
     200,
     {{"Content-Length", "5"}},
     {"hello"},
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
     false},
    {"ContentLengthInPieces",
     "9112 6.2",
     kGet,
     200,
     {{"content-length", "5"}},
     {"he", "", "llo", ""},
     "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
     false},
    {"LengthZero",
     "9112 6.2",
     kGet,
     200,
     {{"content-length", "0"}},
     {""},
     "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
     false},
    {"Chunked",
     "9112 7.1",
     kGet,
     200,
     {},
     {"hello"},
     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     false},
    {"ChunkedInPieces",
     "9112 7.1",
     kGet,
     200,
     {},
     {"0123456789abcdef", "x", ""},
     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n1\r\nx\r\n0\r\n\r\n",
     false},
    {"AnEmptyPieceIsNotTheLastChunk",
     "9112 7.1",
     kGet,
     200,
     {},
     {"", "x", "", ""},
     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
     false},
    {"ChunkedAndEmpty",
     "9112 7.1",
     kGet,
     200,
     {},
     {""},
     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
     false},
    {"UntilCloseForHttp10",
     "9112 6.3",
     kGet10,
     200,
     {},
     {"hel", "lo"},
     "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello",
     true},
    {"UntilCloseEvenIfHttp10WouldKeep",
     "9112 6.3",
     kGet10Keep,
     200,
     {},
     {"hello"},
     "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello",
     true},
    {"Http10IsToldThatItIsKept",
     "9112 9.3",
     kGet10Keep,
     200,
     {{"content-length", "2"}},
     {"ok"},
     "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok",
     false},
    {"Http10Closes",
     "9112 9.3",
     kGet10,
     200,
     {{"content-length", "2"}},
     {"ok"},
     "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
     true},
    {"ClientCloses",
     "9112 9.6",
     kGetClose,
     200,
     {{"content-length", "2"}},
     {"ok"},
     "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
     true},
    {"ApplicationCloses",
     "9112 9.6",
     kGet,
     200,
     {{"Connection", "x, Close"}, {"content-length", "2"}},
     {"ok"},
     "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
     true},
    {"CloseIsSaidOnce",
     "9112 9.6",
     kGetClose,
     200,
     {{"connection", "close"}, {"content-length", "2"}, {"connection", "close"}},
     {"ok"},
     "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
     true},
    {"ApplicationMayNotKeep",
     "9112 9.3",
     kGetClose,
     200,
     {{"connection", "keep-alive"}, {"content-length", "2"}},
     {"ok"},
     "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
     true},
    {"ApplicationMayNotKeepHttp10",
     "9112 9.3",
     kGet10,
     200,
     {{"connection", "keep-alive"}, {"content-length", "2"}},
     {"ok"},
     "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
     true},
    {"HopByHopFieldsAreDropped",
     "9110 7.6.1",
     kGet,
     200,
     {{"Keep-Alive", "5"},
      {"Proxy-Connection", "x"},
      {"TE", "x"},
      {"Upgrade", "x"},
      {"Connection", "upgrade"},
      {"x", "y"},
      {"content-length", "0"}},
     {""},
     "HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 0\r\n\r\n",
     false},
    {"TransferEncodingIsDropped",
     "9112 6.1",
     kGet,
     200,
     {{"Transfer-Encoding", "chunked"}},
     {"x"},
     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
     false},
    {"ForeignTransferEncodingIsDropped",
     "9112 6.1",
     kGet,
     200,
     {{"transfer-encoding", "gzip, chunked"}},
     {"x"},
     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
     false},
    {"LengthWinsOverTransferEncoding",
     "9112 6.2",
     kGet,
     200,
     {{"transfer-encoding", "chunked"}, {"content-length", "1"}},
     {"x"},
     "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
     false},
    {"TransferEncodingToHttp10",
     "9112 6.1",
     kGet10,
     200,
     {{"transfer-encoding", "chunked"}},
     {"x"},
     "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nx",
     true},
    {"HeadKeepsTheLength",
     "9110 9.3.2",
     kHead,
     200,
     {{"content-length", "5"}},
     {"hel", "lo"},
     "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
     false},
    {"HeadNeedNotHaveThatBody",
     "9110 9.3.2",
     kHead,
     200,
     {{"content-length", "5"}},
     {""},
     "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
     false},
    {"HeadWithoutLengthHasNoChunks",
     "9110 9.3.2",
     kHead,
     200,
     {},
     {"hello"},
     "HTTP/1.1 200 OK\r\n\r\n",
     false},
    {"HeadWithoutLengthKeepsHttp10",
     "9112 6.3",
     kHead10Keep,
     200,
     {},
     {"hello"},
     "HTTP/1.1 200 OK\r\nconnection: keep-alive\r\n\r\n",
     false},
    {"LowerCaseHeadIsAmbiguous",
     "9110 9.1",
     "head / HTTP/1.1\r\nHost: a\r\n\r\n",
     200,
     {{"content-length", "5"}},
     {"hello"},
     "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n",
     true},
    {"NoContent", "9110 15.3.5", kGet, 204, {}, {"dropped"}, "HTTP/1.1 204 No Content\r\n\r\n", false},
    {"NoContentHasNoLength",
     "9110 8.6",
     kGet,
     204,
     {{"content-length", "0"}, {"x", "y"}},
     {""},
     "HTTP/1.1 204 No Content\r\nx: y\r\n\r\n",
     false},
    {"NoContentKeepsHttp10",
     "9112 6.3",
     kGet10Keep,
     204,
     {},
     {""},
     "HTTP/1.1 204 No Content\r\nconnection: keep-alive\r\n\r\n",
     false},
    {"NotModifiedKeepsTheLength",
     "9110 15.4.5",
     kGet,
     304,
     {{"content-length", "5"}, {"transfer-encoding", "x"}},
     {"dropped"},
     "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
     false},
    {"NotModifiedWithoutLength", "9112 6.3", kGet, 304, {}, {""}, "HTTP/1.1 304 Not Modified\r\n\r\n", false},
    {"NamesAndValuesAsTheyWereGiven",
     "9110 5.1",
     kGet,
     200,
     {{"X-CaSe", " v\t\xe9 "},
      {"Set-Cookie", "a=1"},
      {"Set-Cookie", "b=2"},
      {"Empty", ""},
      {"content-length", "0"}},
     {""},
     "HTTP/1.1 200 OK\r\nX-CaSe:  v\t\xe9 \r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nEmpty: "
     "\r\ncontent-length: 0\r\n\r\n",
     false},
    {"KnownStatus", "9112 4", kHead, 418, {}, {""}, "HTTP/1.1 418 I'm a teapot\r\n\r\n", false},
    {"UnknownStatusHasAnEmptyPhrase", "9112 4", kHead, 299, {}, {""}, "HTTP/1.1 299 \r\n\r\n", false},
    {"TheLastStatus", "9112 4", kHead, 999, {}, {""}, "HTTP/1.1 999 \r\n\r\n", false},
};
INSTANTIATE_TEST_SUITE_P(Http1, Response, testing::ValuesIn(kCases), name_of);

TEST(ResponseStatusLine, OfEveryStatus) {
  for (int status = 200; status <= 999; ++status) {
    Answer answer(kHead);
    ASSERT_TRUE(answer.head(status));
    std::string expected =
        "HTTP/1.1 " + std::to_string(status) + " " + std::string(base::reason_phrase(status));
    ASSERT_EQ(answer.sent(), expected + "\r\n\r\n");
  }
}

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

void expect_refused(int status, std::vector<Header> headers, std::string_view part_of_reason) {
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
