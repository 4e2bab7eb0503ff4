// What a codec allocates: counted by an operator new of its own.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "server/http1/codec.h"
#include "server/testing/counted_allocations.h"

namespace fasterapi::http1 {
namespace {

using namespace std::string_view_literals;
using testing::allocations;
using testing::live_bytes;

class Memory : public ::testing::Test {
 protected:
  void answer() {
    base::Header length = {"content-length", "2"};
    ASSERT_TRUE(codec.send_head({200, {&length, 1}}, {.date = "d", .server = "s", .extra = {}}));
    ASSERT_TRUE(codec.send_body("ok"sv, base::Last::kYes));
    codec.output().consume(codec.output().size());
  }
  void serve(std::string_view request) {
    codec.receive(request);
    ASSERT_TRUE(codec.request_complete());
    answer();
    codec.resume();
  }

  std::size_t before = live_bytes;
  base::Settings settings;
  Codec codec{settings};
};

std::string get_with_fields(int count) {
  std::string request = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < count; ++i) request += "X-Field-" + std::to_string(i) + ": some value\r\n";
  return request + "\r\n";
}

TEST_F(Memory, ANewCodecIsSmall) { EXPECT_LT(live_bytes - before, 1024u); }

TEST_F(Memory, AnIdleCodecIsSmallAfterASmallRequest) {
  std::string request = get_with_fields(3);
  std::size_t outside = request.capacity() + 1;
  for (int i = 0; i < 3; ++i) serve(request);
  EXPECT_LT(live_bytes - before - outside, 1024u);
}

TEST_F(Memory, AnIdleCodecIsSmallAfterALargeRequest) {
  std::string request = get_with_fields(100) + get_with_fields(100);
  std::size_t outside = request.capacity() + 1;
  codec.receive(request);
  EXPECT_GT(live_bytes - before - outside, 8192u);
  answer();
  codec.resume();
  codec.receive({});
  answer();
  codec.resume();
  EXPECT_LT(live_bytes - before - outside, 1024u);
}

TEST_F(Memory, AnIdleCodecIsSmallAfterManyChunks) {
  std::string request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 10000; ++i) request += "1\r\nx\r\n";
  request += "0\r\n\r\n";
  std::size_t outside = request.capacity() + 1;
  serve(request);
  EXPECT_LT(live_bytes - before - outside, 1024u);
}

TEST_F(Memory, AHeaderCostsNoAllocationOfItsOwn) {
  std::string few = get_with_fields(20);
  std::string many = get_with_fields(120);
  std::size_t start = allocations;
  codec.receive(few);
  std::size_t for_few = allocations - start;
  answer();
  codec.resume();
  start = allocations;
  codec.receive(many);
  std::size_t for_many = allocations - start;
  EXPECT_EQ(codec.head().headers.size(), 121u);
  // Only what is doubled a few times more: 100 fields more would else be 100 allocations.
  EXPECT_LE(for_many, for_few + 8);
}

TEST_F(Memory, ASmallRequestInARowIsReadWithoutAllocation) {
  std::string request = get_with_fields(3);
  serve(request);
  codec.receive("GET "sv);  // the first piece of what follows
  codec.receive(std::string_view(request).substr(4));
  answer();
  codec.resume();
  std::size_t start = allocations;
  codec.receive(request);
  EXPECT_EQ(allocations - start, 0u);
}

TEST_F(Memory, ADeadCodecKeepsNoInput) {
  std::string junk(60000, '(');
  std::size_t outside = junk.capacity() + 1;
  codec.receive(junk);
  codec.receive(junk);
  EXPECT_LT(live_bytes - before - outside, 1024u);
}

// Unread pipelined bytes are held once.
TEST_F(Memory, TheRestIsHeldOnce) {
  std::string request = get_with_fields(3);
  std::string input;
  while (input.size() < 64 * 1024) input += request;
  std::size_t outside = request.capacity() + input.capacity() + 2;
  codec.receive(input);
  std::size_t most = 0;
  while (codec.has_rest()) {
    answer();
    codec.resume();
    most = std::max(most, live_bytes - before - outside);
    codec.receive({});
  }
  EXPECT_LT(most, input.size() + 6 * 1024);
}

TEST_F(Memory, ARestThatIsNeverEmptyForgetsWhatWasParsed) {
  std::string request = get_with_fields(3);
  std::size_t outside = request.capacity() + 1;
  std::size_t most = 0;
  codec.receive(request);
  codec.receive(request);
  for (int i = 0; i < 1000; ++i) {
    answer();
    codec.resume();
    codec.receive(request);
    ASSERT_TRUE(codec.has_rest());
    most = std::max(most, live_bytes - before - outside);
  }
  EXPECT_LT(most, 4096u);
}

// Between its water marks a queue is never empty, for hours.
TEST_F(Memory, AQueueThatIsNeverEmptyForgetsWhatWasSent) {
  codec.receive("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(codec.send_head({200, {}}, {}));
  std::string piece(1000, 'x');
  std::size_t outside = piece.capacity() + 1;
  std::size_t most = 0;
  for (int i = 0; i < 10000; ++i) {
    ASSERT_TRUE(codec.send_body(piece, base::Last::kNo));
    if (codec.output().size() > 20000) codec.output().consume(codec.output().size() - 16001);
    most = std::max(most, live_bytes - before - outside);
  }
  EXPECT_LT(most, 160u * 1024);
}

TEST_F(Memory, AQueueOfSlicesThatIsNeverEmptyForgetsThemToo) {
  base::Output output;
  std::size_t most = 0;
  for (int i = 0; i < 20000; ++i) {
    output.append(base::Slice("slice", nullptr, [](void*) {}));
    output.append("run");
    if (output.size() > 100) output.consume(output.size() - 50);
    most = std::max(most, live_bytes - before);
  }
  EXPECT_LT(most, 64u * 1024);
}

}  // namespace
}  // namespace fasterapi::http1
