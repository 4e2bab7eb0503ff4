// Trailers of responses (RFC 9110 6.5, RFC 9112 7.1.2): to whom they are sent, which may be, and that
// a response which announced them ends with them.
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "server/http1/answer.h"

namespace fasterapi::http1 {
namespace {

using base::Header;
using base::Last;

constexpr std::string_view kTakesThem = "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n";
constexpr std::string_view kChunkedHead = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

base::Result<void> begin(Answer& answer, std::vector<Header> headers = {}) {
  return answer.codec.send_head({200, headers, true}, {});
}
base::Result<void> send(Answer& answer, std::vector<Header> fields, Last last = Last::kYes) {
  return answer.codec.send_trailers(fields, last);
}

TEST(Trailers, FollowTheLastChunk) {
  Answer answer(kTakesThem);
  ASSERT_TRUE(begin(answer));
  ASSERT_TRUE(answer.body("body", Last::kYes));
  EXPECT_FALSE(answer.codec.response_complete());
  EXPECT_TRUE(answer.codec.head_sent());
  ASSERT_TRUE(send(answer, {{"x-a", "1"}, {"X-B", ""}}));
  EXPECT_EQ(answer.sent(), std::string(kChunkedHead) + "4\r\nbody\r\n0\r\nx-a: 1\r\nX-B: \r\n\r\n");
  EXPECT_EQ(answer.codec.output().size(), answer.sent().size());
  EXPECT_TRUE(answer.codec.response_complete());
  EXPECT_FALSE(answer.codec.wants_close());
}

TEST(Trailers, OfSeveralCallsAreOneSection) {
  Answer answer(kTakesThem);
  ASSERT_TRUE(begin(answer));
  ASSERT_TRUE(answer.body("body", Last::kNo));
  ASSERT_TRUE(answer.body("", Last::kYes));
  ASSERT_TRUE(send(answer, {{"x-a", "1"}}, Last::kNo));
  ASSERT_TRUE(send(answer, {}, Last::kNo));
  EXPECT_FALSE(answer.codec.response_complete());
  ASSERT_TRUE(send(answer, {{"x-b", "2"}}));
  EXPECT_EQ(answer.sent(), std::string(kChunkedHead) + "4\r\nbody\r\n0\r\nx-a: 1\r\nx-b: 2\r\n\r\n");
}

// RFC 9110 6.5.1, 10.1.4
TEST(Trailers, AreDroppedForWhoDidNotAskForThem) {
  for (std::string_view te : {"", "TE: gzip\r\n", "TE: trailersx\r\n", "TE: x, xtrailers\r\n"}) {
    Answer answer("GET / HTTP/1.1\r\nHost: a\r\n" + std::string(te) + "\r\n");
    ASSERT_TRUE(begin(answer));
    ASSERT_TRUE(answer.body("body", Last::kYes));
    EXPECT_EQ(answer.sent(), std::string(kChunkedHead) + "4\r\nbody\r\n0\r\n");
    ASSERT_TRUE(send(answer, {{"x-a", "1"}}));
    EXPECT_EQ(answer.sent(), std::string(kChunkedHead) + "4\r\nbody\r\n0\r\n\r\n") << te;
    EXPECT_TRUE(answer.codec.response_complete());
  }
}

TEST(Trailers, AreAskedForInAnySpelling) {
  for (std::string_view te :
       {"TE: Trailers\r\n", "te:gzip;q=0.5 ,\ttrailers\r\n", "TE: gzip\r\nTE: trailers\r\n"}) {
    Answer answer("GET / HTTP/1.1\r\nHost: a\r\n" + std::string(te) + "\r\n");
    EXPECT_TRUE(answer.codec.head().accepts_trailers) << te;
  }
}

TEST(Trailers, AreDroppedWhereNoChunksAre) {
  for (auto [request, headers, expected] :
       {std::tuple(kTakesThem, std::vector<Header>{{"content-length", "4"}},
                   "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"),
        std::tuple(std::string_view("HEAD / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n"),
                   std::vector<Header>(), "HTTP/1.1 200 OK\r\n\r\n"),
        std::tuple(std::string_view("GET / HTTP/1.0\r\nTE: trailers\r\n\r\n"), std::vector<Header>(),
                   "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nbody")}) {
    Answer answer(request);
    ASSERT_TRUE(begin(answer, headers));
    ASSERT_TRUE(answer.body("body", Last::kYes));
    EXPECT_FALSE(answer.codec.response_complete());
    ASSERT_TRUE(send(answer, {{"x-a", "1"}}));
    EXPECT_EQ(answer.sent(), expected);
    EXPECT_TRUE(answer.codec.response_complete());
  }
}

// RFC 9110 6.5.1; and no line break in either part.
TEST(Trailers, ThatMayNotBeAreRefusedWithNothingWritten) {
  for (Header field :
       {Header{"Content-Length", "1"}, Header{"transfer-encoding", "chunked"}, Header{"Set-Cookie", "a"},
        Header{"content-type", "x"}, Header{"trailer", "x"}, Header{"Connection", "close"},
        Header{"x a", "1"}, Header{"", "1"}, Header{"x-a", "1\r\nx-b: 2"}, Header{"x-a", "\x01"}}) {
    Answer answer(kTakesThem);
    ASSERT_TRUE(begin(answer));
    ASSERT_TRUE(answer.body("body", Last::kYes));
    const std::string before = answer.sent();
    EXPECT_FALSE(send(answer, {{"x-good", "1"}, field})) << field.name;
    EXPECT_EQ(answer.sent(), before);
    EXPECT_FALSE(answer.codec.response_complete());
    EXPECT_TRUE(send(answer, {}));  // it may still end well
  }
}

TEST(Trailers, ComeInTheirPlaceOnly) {
  Answer without(kTakesThem);
  ASSERT_TRUE(without.head(200));
  EXPECT_EQ(send(without, {}).failure().reason, "no trailers are due");
  Answer answer(kTakesThem);
  EXPECT_FALSE(send(answer, {}));
  ASSERT_TRUE(begin(answer));
  EXPECT_EQ(send(answer, {}).failure().reason, "trailers come behind the body's end");
  ASSERT_TRUE(answer.body("body", Last::kYes));
  EXPECT_EQ(answer.body("more", Last::kYes).failure().reason, "the response's body is already complete");
  ASSERT_TRUE(send(answer, {}));
  EXPECT_FALSE(send(answer, {}));
  EXPECT_EQ(answer.sent(), std::string(kChunkedHead) + "4\r\nbody\r\n0\r\n\r\n");
}

TEST(Trailers, EachResponseAnnouncesItsOwn) {
  Answer answer(std::string(kTakesThem) + std::string(kGet));
  ASSERT_TRUE(begin(answer));
  ASSERT_TRUE(answer.body("", Last::kYes));
  ASSERT_TRUE(send(answer, {{"x-a", "1"}}));
  answer.codec.resume();
  answer.codec.receive({});
  ASSERT_TRUE(answer.head(200));
  ASSERT_TRUE(answer.body("x", Last::kYes));
  EXPECT_TRUE(answer.codec.response_complete());
}

// RFC 9110 15.5.22: what a 426 asks for stands in upgrade, and 7.8: connection names it.
TEST(Upgrade, IsSentWith426Alone) {
  Answer answer(kGet);
  ASSERT_TRUE(answer.head(426, {{"Upgrade", "websocket"}, {"content-length", "0"}}));
  EXPECT_EQ(answer.sent(),
            "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\ncontent-length: 0\r\nconnection: "
            "upgrade\r\n\r\n");
  Answer closing(kGetClose);
  ASSERT_TRUE(closing.head(426, {{"upgrade", "h2c"}, {"connection", "upgrade"}, {"content-length", "0"}}));
  EXPECT_EQ(
      closing.sent(),
      "HTTP/1.1 426 Upgrade Required\r\nupgrade: h2c\r\ncontent-length: 0\r\nconnection: upgrade, close\r\n"
      "\r\n");
  Answer other(kGet);
  ASSERT_TRUE(other.head(200, {{"upgrade", "h2c"}, {"content-length", "0"}}));
  EXPECT_EQ(other.sent(), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
}

}  // namespace
}  // namespace fasterapi::http1
