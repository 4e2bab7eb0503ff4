#include "server/base/output.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace fasterapi::base {
namespace {

// Counts how often a slice's owner was released.
struct Owner {
  explicit Owner(std::string text) : bytes(std::move(text)) {}
  Slice slice() {
    return {bytes, this, [](void* self) { ++static_cast<Owner*>(self)->released; }};
  }
  std::string bytes;
  int released = 0;
};

std::string gathered(const Output& output, std::size_t count) {
  std::vector<iovec> vectors(count);
  std::string all;
  std::size_t filled = output.gather(vectors);
  for (std::size_t i = 0; i < filled; ++i) {
    EXPECT_NE(vectors[i].iov_len, 0u);
    all.append(static_cast<const char*>(vectors[i].iov_base), vectors[i].iov_len);
  }
  return all;
}

TEST(Slice, ReleasesItsOwnerOnce) {
  Owner owner("x");
  {
    Slice first = owner.slice();
    Slice second(std::move(first));
    Slice third;
    third = std::move(second);
    EXPECT_EQ(third.bytes(), "x");
    EXPECT_EQ(owner.released, 0);
  }
  EXPECT_EQ(owner.released, 1);
}

TEST(Slice, AssignmentReleasesWhatWasHeld) {
  Owner first("1");
  Owner second("2");
  Slice slice = first.slice();
  slice = second.slice();
  EXPECT_EQ(first.released, 1);
  EXPECT_EQ(second.released, 0);
}

TEST(Output, JoinsSmallPiecesInOneRun) {
  Output output;
  EXPECT_TRUE(output.empty());
  output.append("head ");
  output.append("");
  output.tail().append("body");
  output.grown(4);
  EXPECT_EQ(output.size(), 9u);
  std::array<iovec, 4> vectors;
  EXPECT_EQ(output.gather(vectors), 1u);
  EXPECT_EQ(output.to_string(), "head body");
}

TEST(Output, KeepsTheOrderOfRunsAndSlices) {
  Owner owner("BIG");
  Output output;
  output.append("a");
  output.append(owner.slice());
  output.append("b");
  output.append("c");
  std::array<iovec, 8> vectors;
  EXPECT_EQ(output.gather(vectors), 3u);
  EXPECT_EQ(vectors[1].iov_base, owner.bytes.data());  // not copied
  EXPECT_EQ(gathered(output, 8), "aBIGbc");
  EXPECT_EQ(gathered(output, 2), "aBIG");
  EXPECT_EQ(output.size(), 6u);
}

TEST(Output, ForgetsAnEmptySliceAtOnce) {
  Owner owner("");
  Output output;
  output.append(owner.slice());
  EXPECT_EQ(owner.released, 1);
  EXPECT_TRUE(output.empty());
}

TEST(Output, ReleasesASliceWhenItsLastByteIsConsumed) {
  Owner owner("BIG");
  Output output;
  output.append("a");
  output.append(owner.slice());
  output.append("z");
  output.consume(3);
  EXPECT_EQ(owner.released, 0);
  EXPECT_EQ(output.to_string(), "Gz");
  EXPECT_EQ(gathered(output, 8), "Gz");
  output.consume(1);
  EXPECT_EQ(owner.released, 1);
  EXPECT_EQ(output.to_string(), "z");
}

TEST(Output, ConsumesAnyCut) {
  for (std::size_t step = 1; step <= 9; ++step) {
    Owner owner("BIG");
    Output output;
    output.append("abc");
    output.append(owner.slice());
    output.append("xyz");
    std::string all;
    while (!output.empty()) {
      std::size_t count = std::min(step, output.size());
      all += output.to_string().substr(0, count);
      output.consume(count);
    }
    EXPECT_EQ(all, "abcBIGxyz");
    EXPECT_EQ(owner.released, 1);
  }
}

TEST(Output, ShrinkLetsGoOfASliceOfWhichMostIsGone) {
  Owner owner("0123456789");
  Output output;
  output.append(owner.slice());
  output.append("tail");
  output.consume(4);
  output.shrink();
  EXPECT_EQ(owner.released, 0);
  output.consume(1);
  output.shrink();
  EXPECT_EQ(owner.released, 1);
  owner.bytes.assign(10, '-');
  output.shrink();
  EXPECT_EQ(output.to_string(), "56789tail");
  EXPECT_EQ(output.size(), 9u);
  output.consume(6);
  output.shrink();
  EXPECT_EQ(output.to_string(), "ail");
  EXPECT_EQ(owner.released, 1);
}

TEST(Output, ShrinkDoesNotCopyMuch) {
  Owner owner(std::string(1 << 20, 'x'));
  Output output;
  output.shrink();
  output.append(owner.slice());
  output.consume(1 << 19);
  output.shrink();
  EXPECT_EQ(owner.released, 0);
  output.consume((1 << 19) - 32 * 1024);
  output.shrink();
  EXPECT_EQ(owner.released, 1);
  EXPECT_EQ(output.to_string(), std::string(32 * 1024, 'x'));
}

TEST(Output, CanBeAppendedToAfterAPartWasConsumed) {
  Output output;
  output.append("abc");
  output.consume(2);
  output.append("def");
  EXPECT_EQ(gathered(output, 8), "cdef");
  output.consume(4);
  output.append("g");
  EXPECT_EQ(output.to_string(), "g");
}

TEST(Output, ClearReleasesEverySlice) {
  Owner owner("BIG");
  Output output;
  for (int i = 0; i < 10; ++i) output.append(owner.slice());
  output.clear();
  EXPECT_EQ(owner.released, 10);
  EXPECT_TRUE(output.empty());
  EXPECT_EQ(output.to_string(), "");
}

// A reader that never quite catches up.
TEST(Output, StaysRightWhileItIsNeverEmpty) {
  Owner owner("BIG");
  Output output;
  std::string expected;
  std::string got;
  for (int i = 0; i < 1000; ++i) {
    output.append(owner.slice());
    output.append("small");
    expected += "BIGsmall";
    std::size_t count = i % 2 == 0 ? 7 : 9;
    if (output.size() > count) {
      got += output.to_string().substr(0, count);
      output.consume(count);
    }
  }
  got += output.to_string();
  EXPECT_EQ(got, expected);
  output.consume(output.size());
  EXPECT_EQ(owner.released, 1000);
}

TEST(Output, LongRunsAreNotAppendedTo) {
  Output output;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    std::string piece(1024, static_cast<char>('a' + i % 26));
    output.append(piece);
    expected += piece;
  }
  std::array<iovec, 64> vectors;
  EXPECT_EQ(output.gather(vectors), 32u);
  EXPECT_EQ(output.to_string(), expected);
}

}  // namespace
}  // namespace fasterapi::base
