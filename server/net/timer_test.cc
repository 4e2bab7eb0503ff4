#include "server/net/timer.h"

#include <gtest/gtest.h>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "server/net/loop.h"

namespace fasterapi::net {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kTick = 100;
constexpr std::uint64_t kLap = 512 * kTick;
// The loop's time is set by hand and the loop is not run, so any origin will do.
// Far ahead of the machine's clock, which the wheel reads too; on a tick.
constexpr std::uint64_t kStart = 1'000'000'000'000;

class TimerTest : public testing::Test {
 protected:
  TimerTest() { advance_to(kStart); }

  // A deadline that counts, and does what the test wants when it fires.
  struct Alarm {
    explicit Alarm(Loop& loop)
        : deadline(
              loop.wheel(),
              [](void* self) {
                auto* alarm = static_cast<Alarm*>(self);
                ++alarm->fired;
                if (alarm->then) alarm->then();
              },
              this) {}
    void arm(std::uint64_t ms) { deadline.arm(milliseconds(ms)); }

    int fired = 0;
    std::function<void()> then;
    Deadline deadline;
  };

  void set(std::uint64_t now) { now_ = now; }
  void advance_to(std::uint64_t now) {
    set(now);
    loop.wheel().advance(now);
  }
  std::uint64_t now() const { return now_; }

  base::Ledger ledger;
  int changes = 0;
  Loop loop{{.owner = this, .changed = [](void* self) { ++static_cast<TimerTest*>(self)->changes; }}, ledger};

 private:
  std::uint64_t now_ = 0;
};

TEST_F(TimerTest, IsNeverEarlyAndAtMostOneTickLate) {
  for (std::uint64_t phase : {0, 1, 37, 50, 99}) {
    for (std::uint64_t wait : {0, 1, 49, 50, 99, 100, 101, 250, 5000}) {
      advance_to(now() / kTick * kTick + kTick + phase);
      Alarm alarm(loop);
      alarm.arm(wait);
      std::uint64_t due = now() + wait;
      while (alarm.fired == 0 && now() < due + 2 * kTick) advance_to(now() + 1);
      EXPECT_EQ(alarm.fired, 1);
      EXPECT_GE(now(), due) << "phase " << phase << " wait " << wait;
      EXPECT_LE(now(), due + kTick) << "phase " << phase << " wait " << wait;
    }
  }
}

TEST_F(TimerTest, FiresOnceAndIsDisarmedBeforeItFires) {
  Alarm alarm(loop);
  bool armed_inside = true;
  alarm.then = [&] { armed_inside = alarm.deadline.armed(); };
  alarm.arm(1000);
  EXPECT_TRUE(alarm.deadline.armed());
  advance_to(kStart + 2000);
  advance_to(kStart + 2 * kLap);
  EXPECT_EQ(alarm.fired, 1);
  EXPECT_FALSE(armed_inside);
  EXPECT_EQ(loop.wheel().armed(), 0u);
}

TEST_F(TimerTest, ArmReplacesWhatWasArmed) {
  Alarm alarm(loop);
  alarm.arm(1000);
  alarm.arm(3000);
  EXPECT_EQ(loop.wheel().armed(), 1u);
  advance_to(kStart + 2900);
  EXPECT_EQ(alarm.fired, 0);
  advance_to(kStart + 3100);
  EXPECT_EQ(alarm.fired, 1);
  alarm.arm(3000);
  alarm.arm(100);
  advance_to(now() + 200);
  EXPECT_EQ(alarm.fired, 2);
}

TEST_F(TimerTest, ANegativeWaitIsNone) {
  Alarm alarm(loop);
  alarm.deadline.arm(milliseconds(-5000));
  advance_to(kStart + kTick);
  EXPECT_EQ(alarm.fired, 1);
}

TEST_F(TimerTest, DisarmedAndDestroyedOnesDoNotFire) {
  Alarm kept(loop);
  Alarm disarmed(loop);
  auto destroyed = std::make_unique<Alarm>(loop);
  auto also_destroyed = std::make_unique<Alarm>(loop);
  destroyed->arm(500);
  kept.arm(500);
  disarmed.arm(500);
  also_destroyed->arm(500);
  disarmed.deadline.disarm();
  disarmed.deadline.disarm();
  destroyed.reset();
  also_destroyed.reset();
  EXPECT_EQ(loop.wheel().armed(), 1u);
  advance_to(kStart + 700);
  EXPECT_EQ(kept.fired, 1);
  EXPECT_EQ(disarmed.fired, 0);
}

TEST_F(TimerTest, ReArmsInsideItsOwnFire) {
  Alarm alarm(loop);
  std::vector<std::uint64_t> times;
  alarm.then = [&] {
    times.push_back(now());
    if (times.size() < 4) alarm.arm(1000);
  };
  alarm.arm(1000);
  for (int i = 0; i < 100; ++i) advance_to(now() + kTick);
  ASSERT_EQ(times.size(), 4u);
  for (std::size_t i = 1; i < times.size(); ++i) {
    EXPECT_GE(times[i] - times[i - 1], 1000u);
    EXPECT_LE(times[i] - times[i - 1], 1000u + kTick);
  }
}

TEST_F(TimerTest, ReArmedForNoTimeItWaitsForTheNextTick) {
  Alarm alarm(loop);
  alarm.then = [&] { alarm.arm(0); };
  alarm.arm(0);
  for (int i = 1; i <= 5; ++i) {
    advance_to(kStart + static_cast<std::uint64_t>(i) * kTick);
    EXPECT_EQ(alarm.fired, i);
  }
}

TEST_F(TimerTest, FiringMayDisarmOthersOfTheSameTick) {
  std::vector<std::unique_ptr<Alarm>> alarms;
  for (int i = 0; i < 5; ++i) {
    alarms.push_back(std::make_unique<Alarm>(loop));
    alarms.back()->then = [&] {
      for (auto& alarm : alarms) alarm->deadline.disarm();
    };
    alarms.back()->arm(500);
  }
  advance_to(kStart + 700);
  int fired = 0;
  for (auto& alarm : alarms) fired += alarm->fired;
  EXPECT_EQ(fired, 1);
}

TEST_F(TimerTest, FiringMayDestroyItselfAndOthers) {
  std::vector<std::unique_ptr<Alarm>> alarms;
  int fired = 0;
  for (int i = 0; i < 5; ++i) {
    alarms.push_back(std::make_unique<Alarm>(loop));
    alarms.back()->then = [&] {
      ++fired;
      auto dead = std::move(alarms);  // this function too lives until the end of its own call
    };
    alarms.back()->arm(500);
  }
  advance_to(kStart + 700);
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(loop.wheel().armed(), 0u);
}

TEST_F(TimerTest, FiringMayMoveAnother) {
  Alarm first(loop);
  Alarm second(loop);
  first.then = [&] { second.arm(1000); };
  second.then = [&] { first.arm(1000); };
  first.arm(500);
  second.arm(500);
  advance_to(kStart + 600);
  EXPECT_EQ(first.fired + second.fired, 1);
  advance_to(now() + 1100);
  EXPECT_EQ(first.fired + second.fired, 2);
}

TEST_F(TimerTest, BeyondOneLapItWaitsForItsOwn) {
  Alarm next_lap(loop);
  Alarm far(loop);
  Alarm near(loop);
  next_lap.arm(kLap + 500);
  far.arm(5 * kLap + 500);
  near.arm(500);
  std::vector<std::uint64_t> times;
  next_lap.then = [&] { times.push_back(now()); };
  far.then = next_lap.then;
  near.then = next_lap.then;
  while (times.size() < 3 && now() < kStart + 7 * kLap) advance_to(now() + 10);
  ASSERT_EQ(times.size(), 3u);
  std::uint64_t waits[] = {500, kLap + 500, 5 * kLap + 500};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_GE(times[i], kStart + waits[i]);
    EXPECT_LE(times[i], kStart + waits[i] + kTick);
  }
}

TEST_F(TimerTest, AStallLongerThanALapFiresAllThatIsDueOnce) {
  std::vector<std::unique_ptr<Alarm>> alarms;
  for (std::uint64_t wait = 0; wait < 3 * kLap; wait += 250) {
    alarms.push_back(std::make_unique<Alarm>(loop));
    alarms.back()->arm(wait);
  }
  std::uint64_t stall = 3 * kLap / 2 + 33;
  advance_to(kStart + stall);
  for (std::size_t i = 0; i < alarms.size(); ++i) {
    std::uint64_t wait = i * 250;
    if (wait <= stall && wait + kTick > stall) continue;  // may be a tick late
    EXPECT_EQ(alarms[i]->fired, wait <= stall ? 1 : 0) << wait;
  }
  advance_to(kStart + 4 * kLap);
  for (auto& alarm : alarms) EXPECT_EQ(alarm->fired, 1);
}

TEST_F(TimerTest, WhatAStallsFiringArmsCountsFromItsEnd) {
  Alarm alarm(loop);
  Alarm other(loop);  // so that the wheel is never empty
  other.arm(10 * kLap);
  alarm.then = [&] {
    if (alarm.fired == 1) alarm.arm(1000);
  };
  alarm.arm(500);
  advance_to(kStart + 2 * kLap);
  EXPECT_EQ(alarm.fired, 1);
  advance_to(now() + 1000 - 1);
  EXPECT_EQ(alarm.fired, 1);
  advance_to(now() + 1 + kTick);
  EXPECT_EQ(alarm.fired, 2);
}

TEST_F(TimerTest, AfterAnEmptyTimeItStartsFromTheLoopsTime) {
  Alarm alarm(loop);
  alarm.arm(500);
  advance_to(kStart + 700);
  advance_to(kStart + 20 * kLap + 5);
  alarm.arm(1000);
  advance_to(now() + 999);
  EXPECT_EQ(alarm.fired, 1);
  advance_to(now() + 1 + kTick);
  EXPECT_EQ(alarm.fired, 2);
}

TEST_F(TimerTest, TenThousandEachInItsTime) {
  constexpr std::size_t kCount = 10'000;
  std::mt19937 random(7);
  std::uniform_int_distribution<std::uint64_t> any_wait(0, 2 * kLap);
  std::vector<std::unique_ptr<Alarm>> alarms;
  std::vector<std::uint64_t> due;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    std::uint64_t wait = any_wait(random);
    due.push_back(now() + wait);
    alarms.push_back(std::make_unique<Alarm>(loop));
    alarms.back()->then = [&, i] { wrong += now() < due[i] || now() > due[i] + kTick + 10 ? 1 : 0; };
    alarms.back()->arm(wait);
  }
  for (std::size_t i = 0; i < kCount; i += 10) alarms[i]->deadline.disarm();
  EXPECT_EQ(loop.wheel().armed(), kCount - kCount / 10);
  while (now() < kStart + 2 * kLap + 2 * kTick) advance_to(now() + 10);
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(loop.wheel().armed(), 0u);
  for (std::size_t i = 0; i < kCount; ++i) ASSERT_EQ(alarms[i]->fired, i % 10 == 0 ? 0 : 1) << i;
}

TEST_F(TimerTest, WakesTheLoopOnlyWhileArmed) {
  Alarm first(loop);
  Alarm second(loop);
  int before = changes;
  first.arm(60'000);
  EXPECT_GT(changes, before);  // a loop that this one is nested in learns that there is a timer now
  second.arm(60'000);
  set(now());
  EXPECT_GE(loop.wheel().wait_ms(now()), 0);
  EXPECT_LE(loop.wheel().wait_ms(now()), static_cast<int>(kTick));
  first.deadline.disarm();
  EXPECT_GE(loop.wheel().wait_ms(now()), 0);
  second.deadline.disarm();
  EXPECT_EQ(loop.backend_timeout(), -1);
}

// The real clock, once: the loop turns the wheel.
TEST(Timer, FiresFromTheLoop) {
  base::Ledger ledger;
  Loop loop({}, ledger);
  int fired = 0;
  Deadline deadline(
      loop.wheel(), [](void* count) { ++*static_cast<int*>(count); }, &fired);
  std::uint64_t start = loop.now_ms();
  deadline.arm(milliseconds(1));
  for (int i = 0; i < 10 && fired == 0; ++i) loop.run(RunMode::kOnce);
  EXPECT_EQ(fired, 1);
  EXPECT_GE(loop.now_ms(), start + 1);
}

}  // namespace
}  // namespace fasterapi::net
