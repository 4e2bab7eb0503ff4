#include "server/base/message.h"

#include <gtest/gtest.h>

#include <string>

namespace fasterapi::base {
namespace {

// RFC 9110 15, RFC 6585
TEST(ReasonPhrase, IsTheRegisteredOne) {
  EXPECT_EQ(reason_phrase(100), "Continue");
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(404), "Not Found");
  EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(reason_phrase(511), "Network Authentication Required");
}

TEST(ReasonPhrase, IsEmptyForOthers) {
  for (int status : {-1, 0, 99, 299, 306, 419, 512, 599, 999, 1000})
    EXPECT_EQ(reason_phrase(status), "") << status;
}

// The look-up is a binary search: a row out of order would hide others.
TEST(ReasonPhrase, FindsEveryRow) {
  int found = 0;
  for (int status = 100; status < 600; ++status) found += reason_phrase(status).empty() ? 0 : 1;
  EXPECT_EQ(found, 62);
}

// RFC 9110 6.5.1
TEST(MayBeTrailer, NothingThatIsNeededBeforeTheBody) {
  for (std::string_view name : {"content-length", "Transfer-Encoding", "TRAILER", "host", "connection", "te",
                                "set-cookie", "authorization", "www-authenticate", "cache-control",
                                "if-match", "location", "content-type", "content-range", "date"}) {
    EXPECT_FALSE(may_be_trailer(name)) << name;
  }
  for (std::string_view name :
       {"grpc-status", "server-timing", "x-checksum", "etag", "digest", "content-lengths", ""}) {
    EXPECT_TRUE(may_be_trailer(name)) << name;
  }
}

}  // namespace
}  // namespace fasterapi::base
