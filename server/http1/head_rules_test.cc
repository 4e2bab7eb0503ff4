// The rules by themselves: those that llhttp enforces too must not depend on it.
#include "server/http1/head_rules.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fasterapi::http1 {
namespace {

using base::Header;
using base::Version;

// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in the order of reading
struct Refused {
  const char* section;
  Version version;
  std::vector<Header> headers;
  int status;
};

const Refused kRefused[] = {
    {"9112 3.2", {1, 1}, {}, 400},
    {"9112 3.2", {1, 1}, {{"host", "a"}, {"host", "a"}}, 400},
    {"9112 3.2", {1, 0}, {{"host", "a"}, {"host", "a"}}, 400},
    {"9112 3.2", {1, 1}, {{"host", "a b"}}, 400},
    {"9112 6.3", {1, 1}, {{"host", "a"}, {"content-length", "1"}, {"content-length", "1"}}, 400},
    {"9112 6.3", {1, 1}, {{"host", "a"}, {"content-length", "1"}, {"transfer-encoding", "chunked"}}, 400},
    {"9112 6.3", {1, 1}, {{"host", "a"}, {"transfer-encoding", "chunked"}, {"content-length", "1"}}, 400},
    {"9112 6.1", {1, 0}, {{"transfer-encoding", "chunked"}}, 400},
    {"9112 6.1", {1, 1}, {{"host", "a"}, {"transfer-encoding", ""}}, 400},
    {"9112 6.1", {1, 1}, {{"host", "a"}, {"transfer-encoding", "chunked, chunked"}}, 400},
    {"9112 6.1",
     {1, 1},
     {{"host", "a"}, {"transfer-encoding", "chunked"}, {"transfer-encoding", "chunked"}},
     400},
    {"9112 6.3", {1, 1}, {{"host", "a"}, {"transfer-encoding", "chunked, gzip"}}, 400},
    {"9112 6.3",
     {1, 1},
     {{"host", "a"}, {"transfer-encoding", "chunked"}, {"transfer-encoding", "gzip"}},
     400},
    {"9112 6.3", {1, 1}, {{"host", "a"}, {"transfer-encoding", "gzip"}}, 400},
    {"9112 7.1", {1, 1}, {{"host", "a"}, {"transfer-encoding", "chunked;a=b"}}, 400},
    {"9112 6.1", {1, 1}, {{"host", "a"}, {"transfer-encoding", "gzip, chunked"}}, 501},
    {"9110 10.1.1", {1, 1}, {{"host", "a"}, {"expect", "tea"}}, 417},
};

TEST(HeadRules, Refuse) {
  for (const Refused& c : kRefused) {
    std::string trace = c.section;
    for (const Header& header : c.headers)
      trace.append("\n").append(header.name).append(": ").append(header.value);
    SCOPED_TRACE(trace);
    base::Result<HeadFacts> facts = apply_head_rules(c.version, c.headers);
    ASSERT_FALSE(facts);
    EXPECT_EQ(facts.failure().status, c.status);
  }
}

TEST(HeadRules, FindWhatTheCodecNeeds) {
  std::vector<Header> headers = {
      {"x", "y"}, {"host", "a"}, {"transfer-encoding", "Chunked"}, {"expect", "100-continue"}};
  base::Result<HeadFacts> facts = apply_head_rules({1, 1}, headers);
  ASSERT_TRUE(facts);
  EXPECT_TRUE(facts->chunked);
  EXPECT_TRUE(facts->keep_alive);
  EXPECT_TRUE(facts->expects_continue);
  EXPECT_EQ(facts->host, 1u);
}

}  // namespace
}  // namespace fasterapi::http1
