// Every limit of the settings: what just fits, what does not, and that each request has its own.
#include <string>
#include <string_view>

#include "server/http1/expect_transcript.h"

namespace fasterapi::http1 {
namespace {

using namespace std::string_view_literals;

std::string repeat(std::string_view text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

// RFC 9112 3: 414
TEST(Http1Limits, RequestLine) {
  base::Settings settings;
  settings.max_request_line = 100;
  const std::size_t target = 100 - "GET / HTTP/1.1"sv.size();
  std::string fits = "/" + repeat("x", target);
  expect_transcript("GET " + fits + " HTTP/1.1\r\nHost: a\r\n\r\n",
                    "head GET " + fits + " 1.1\n  host: a\nend\n", settings);
  expect_transcript("GET " + fits + "x HTTP/1.1\r\nHost: a\r\n\r\n", "fail 414\n", settings);
  expect_transcript("GET /" + repeat("x", 1000), "fail 414\n", settings);
  // A fault of the method comes before the line's length.
  expect_transcript("G(T /" + repeat("x", 1000), "fail 400\n", settings);
}

TEST(Http1Limits, RequestLineAtItsDefault) {
  const std::size_t target = base::Settings().max_request_line - "GET / HTTP/1.1"sv.size();
  std::string fits = "/" + repeat("x", target);
  expect_transcript("GET " + fits + " HTTP/1.1\r\nHost: a\r\n\r\n",
                    "head GET " + fits + " 1.1\n  host: a\nend\n");
  expect_transcript("GET " + fits + "x HTTP/1.1\r\n", "fail 414\n");
}

// RFC 6585 5: 431
TEST(Http1Limits, SizeOfTheHead) {
  base::Settings settings;
  settings.max_head = 100;
  std::string start = GET "X: ";
  std::string value = repeat("v", 100 - start.size() - 4);
  std::string expected = "head GET / 1.1\n  host: a\n  x: " + value + "\nend\n";
  expect_transcript(start + value + "\r\n\r\n", expected, settings);
  // The next request has its own allowance, and a body none.
  expect_transcript(start + value + "\r\n\r\n" + start + value + "\r\n\r\n", expected + expected, settings);
  expect_transcript(start + value + "v\r\n\r\n", "fail 431\n", settings);
  expect_transcript(GET + repeat("n", 1000), "fail 431\n", settings);
  expect_transcript(start + repeat(" ", 1000), "fail 431\n", settings);
  expect_transcript(
      GET "Content-Length: 200\r\n\r\n" + repeat("x", 200),
      "head GET / 1.1\n  host: a\n  content-length: 200\nlength 200\nbody " + repeat("x", 200) + "\nend\n",
      settings);
  // Faults before the limit keep their status, whatever follows.
  expect_transcript(GET "X : y\r\n" + repeat("n", 1000), "fail 400\n", settings);
  settings.max_head = 16;  // no longer than the request line
  expect_transcript(GET "\r\n", "fail 431\n", settings);
}

TEST(Http1Limits, SizeOfTheHeadAtItsDefault) {
  std::string start = GET "X: ";
  std::string value = repeat("v", base::Settings().max_head - start.size() - 4);
  expect_transcript(start + value + "\r\n\r\n", "head GET / 1.1\n  host: a\n  x: " + value + "\nend\n");
  expect_transcript(start + value + "v\r\n\r\n", "fail 431\n");
}

TEST(Http1Limits, NumberOfFields) {
  base::Settings settings;
  settings.max_header_fields = 3;
  expect_transcript(GET "A: b\r\nC: d\r\n\r\n", "head GET / 1.1\n  host: a\n  a: b\n  c: d\nend\n", settings);
  expect_transcript(GET "A: b\r\nC: d\r\nE: f\r\n\r\n", "fail 431\n", settings);
  expect_transcript(GET + repeat("A:\r\n", 20) + "\r\n", "fail 431\n", settings);
}

TEST(Http1Limits, NumberOfFieldsAtItsDefault) {
  std::string expected = "head GET / 1.1\n  host: a\n" + repeat("  a: b\n", 127) + "end\n";
  expect_transcript(GET + repeat("A: b\r\n", 127) + "\r\n", expected);
  expect_transcript(GET + repeat("A: b\r\n", 128) + "\r\n", "fail 431\n");
}

TEST(Http1Limits, TrailersAreLimitedAsHeadersAre) {
  base::Settings settings;
  settings.max_head = 100;
  settings.max_header_fields = 3;
  std::string value = repeat("v", 100 - 3 - 4);
  expect_transcript(CHUNKED "0\r\nX: " + value + "\r\n\r\n", CHUNKED_HEAD "end\n", settings);
  expect_transcript(CHUNKED "0\r\nX: " + value + "v\r\n\r\n", CHUNKED_HEAD "fail 431\n", settings);
  expect_transcript(CHUNKED "0\r\n" + repeat("n", 1000), CHUNKED_HEAD "fail 431\n", settings);
  expect_transcript(CHUNKED "0\r\nA:\r\nB:\r\nC:\r\n\r\n", CHUNKED_HEAD "end\n", settings);
  expect_transcript(CHUNKED "0\r\nA:\r\nB:\r\nC:\r\nD:\r\n\r\n", CHUNKED_HEAD "fail 431\n", settings);
  // Each request has its own allowance.
  expect_transcript(repeat(CHUNKED "0\r\nA:\r\nB:\r\nC:\r\n\r\n", 3), repeat(CHUNKED_HEAD "end\n", 3),
                    settings);
}

// RFC 9112 7.1.1: a recipient ought to limit the total length of chunk extensions.
TEST(Http1Limits, ChunkExtensions) {
  base::Settings settings;
  settings.max_chunk_extensions = 20;
  std::string chunk = "1;a=b\r\nx\r\n";  // 4 bytes of extension
  std::string end = "0\r\n\r\n";
  expect_transcript(CHUNKED + repeat(chunk, 5) + end, CHUNKED_HEAD "body xxxxx\nend\n", settings);
  expect_transcript(CHUNKED + repeat(chunk, 6) + end, CHUNKED_HEAD "body xxxxx\nfail 400\n", settings);
  expect_transcript(CHUNKED "1;" + repeat("n", 1000), CHUNKED_HEAD "fail 400\n", settings);
  expect_transcript(CHUNKED "1;n=\"" + repeat("v", 1000), CHUNKED_HEAD "fail 400\n", settings);
  expect_transcript(repeat(CHUNKED + repeat(chunk, 5) + end, 3), repeat(CHUNKED_HEAD "body xxxxx\nend\n", 3),
                    settings);
}

}  // namespace
}  // namespace fasterapi::http1
