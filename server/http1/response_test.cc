#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "server/http1/answer.h"

namespace fasterapi::http1 {
namespace {

using base::Header;
using base::Last;
using namespace std::string_view_literals;

// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in the order of reading
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
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << "RFC " << c.section; }

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

}  // namespace
}  // namespace fasterapi::http1
