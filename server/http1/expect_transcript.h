// For tests: what a codec must say about an input, however that is cut.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "server/http1/transcript.h"

// The beginnings of most inputs, to be joined with what follows at compile time.
#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_HEAD "head POST / 1.1\n  host: a\n  transfer-encoding: chunked\nchunked\n"

namespace fasterapi::http1 {

// Every input runs whole, one byte at a time, and cut in two at each place.
inline void expect_transcript(std::string_view input, std::string_view expected,
                              const base::Settings& settings = {}) {
  EXPECT_EQ(transcript(input, input.size() + 1, settings), expected);
  EXPECT_EQ(transcript(input, 1, settings), expected);
  if (input.size() > 4096) return;
  for (std::size_t cut = 1; cut < input.size(); ++cut) {
    Transcript made(settings);
    made.feed(std::string(input.substr(0, cut)));
    made.feed(std::string(input.substr(cut)));
    ASSERT_EQ(made.text(), expected) << "cut at " << cut;
  }
}

}  // namespace fasterapi::http1
