#include "server/net/loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/net/timer.h"
#include "server/net/wake.h"

namespace fasterapi::net {
namespace {

using Events = std::vector<std::string>;

// Put-off work that writes its name down and then does what the test wants.
struct Work {
  Work(Events& events, std::string called) : log(events), name(std::move(called)) {
    deferred = {[](void* self) {
                  auto* work = static_cast<Work*>(self);
                  work->log.push_back(work->name);
                  if (work->then) work->then();
                },
                this};
  }

  Events& log;
  std::string name;
  std::function<void()> then;
  Deferred deferred;
};

class LoopTest : public testing::Test {
 protected:
  void turn() { loop.run(RunMode::kNoWait); }
  Events take() { return std::exchange(events, {}); }

  static LoopHooks hooks(LoopTest* self) {
    return {
        .owner = self,
        .longest_wait = [](void* owner) -> std::int64_t {
          return static_cast<LoopTest*>(owner)->has_work ? 0 : -1;
        },
        .before_poll = [](void* owner) { static_cast<LoopTest*>(owner)->events.push_back("before poll"); },
        .after_poll = [](void* owner) { static_cast<LoopTest*>(owner)->events.push_back("after poll"); },
        .changed = [](void* owner) { ++static_cast<LoopTest*>(owner)->changes; }};
  }

  Events events;
  int changes = 0;
  bool has_work = false;
  base::Ledger ledger;
  Loop loop{hooks(this), ledger};
  Work a{events, "a"};
  Work b{events, "b"};
  Work c{events, "c"};
};

// A pipe watched by the loop, whose callback comes once it is readable.
class WatchedPipe {
 public:
  WatchedPipe(Loop& loop, std::function<void()> then)
      : then_(std::move(then)),
        watch_(
            loop.poller(),
            [](void* self, bool, bool) {
              auto* pipe = static_cast<WatchedPipe*>(self);
              pipe->watch_.stop();
              pipe->then_();
            },
            this) {
    EXPECT_EQ(::pipe(fds_.data()), 0);
    EXPECT_EQ(watch_.set(fds_[0], true, false), 0);
  }
  ~WatchedPipe() {
    watch_.stop();
    for (int fd : fds_) ::close(fd);
  }

  void make_readable() { EXPECT_EQ(::write(fds_[1], "x", 1), 1); }

 private:
  std::array<int, 2> fds_{};
  std::function<void()> then_;
  Watch watch_;
};

TEST_F(LoopTest, WorkIsPutOffToTheEndOfTheTurnInOrder) {
  loop.at_end_of_turn(a.deferred);
  loop.at_end_of_turn(b.deferred);
  EXPECT_EQ(take(), Events());
  turn();
  EXPECT_EQ(take(), (Events{"a", "b"}));
  turn();
  EXPECT_EQ(take(), Events());
}

TEST_F(LoopTest, WorkIsQueuedOnceAtATime) {
  loop.at_end_of_turn(a.deferred);
  loop.at_end_of_turn(a.deferred);
  loop.at_next_turn(a.deferred);
  turn();
  turn();
  EXPECT_EQ(take(), Events{"a"});
  loop.at_end_of_turn(a.deferred);
  turn();
  EXPECT_EQ(take(), Events{"a"});
}

TEST_F(LoopTest, WorkPutOffByWorkBelongsToTheSameTurn) {
  a.then = [&] { loop.at_end_of_turn(b.deferred); };
  b.then = [&] { loop.at_end_of_turn(c.deferred); };
  loop.at_end_of_turn(a.deferred);
  turn();
  EXPECT_EQ(take(), (Events{"a", "b", "c"}));
}

TEST_F(LoopTest, WorkMayPutItselfOffAgain) {
  int left = 3;
  a.then = [&] {
    if (--left > 0) loop.at_end_of_turn(a.deferred);
  };
  loop.at_end_of_turn(a.deferred);
  loop.at_end_of_turn(b.deferred);
  turn();
  EXPECT_EQ(take(), (Events{"a", "b", "a", "a"}));
}

TEST_F(LoopTest, WorkForTheNextTurnRunsOnceInEach) {
  a.then = [&] { loop.at_next_turn(a.deferred); };
  loop.at_end_of_turn(a.deferred);
  for (int i = 0; i < 3; ++i) {
    turn();
    EXPECT_EQ(take(), Events{"a"}) << i;
  }
  loop.forget(a.deferred);
  turn();
  EXPECT_EQ(take(), Events());
}

TEST_F(LoopTest, WorkForTheNextTurnLeadsToItAtOnce) {
  EXPECT_EQ(loop.backend_timeout(), -1);
  a.then = [&] { loop.at_next_turn(b.deferred); };
  loop.at_end_of_turn(a.deferred);
  loop.run(RunMode::kOnce);  // would wait for ever
  EXPECT_EQ(take(), Events{"a"});
  EXPECT_EQ(loop.backend_timeout(), 0);
  turn();
  EXPECT_EQ(take(), Events{"b"});
  EXPECT_EQ(loop.backend_timeout(), -1);
}

TEST_F(LoopTest, TheOwnersWorkKeepsItFromBlocking) {
  has_work = true;
  loop.run(RunMode::kOnce);
  EXPECT_EQ(take(), Events());
  has_work = false;
  turn();
  EXPECT_EQ(loop.backend_timeout(), -1);
}

TEST_F(LoopTest, NextTurnsWorkComesBeforeTheEndOfTurn) {
  a.then = [&] { loop.at_end_of_turn(b.deferred); };
  loop.at_end_of_turn(c.deferred);
  loop.at_next_turn(a.deferred);
  turn();
  EXPECT_EQ(take(), (Events{"a", "c", "b"}));
}

TEST_F(LoopTest, ForgottenWorkDoesNotRun) {
  loop.at_end_of_turn(a.deferred);
  loop.at_next_turn(b.deferred);
  loop.forget(a.deferred);
  loop.forget(b.deferred);
  loop.forget(c.deferred);
  turn();
  turn();
  EXPECT_EQ(take(), Events());
}

TEST_F(LoopTest, ForgetsWhileTheListRuns) {
  a.then = [&] {
    loop.forget(b.deferred);
    loop.forget(a.deferred);
  };
  c.then = [&] { loop.forget(a.deferred); };  // has run already
  for (Work* work : {&a, &b, &c}) loop.at_end_of_turn(work->deferred);
  turn();
  EXPECT_EQ(take(), (Events{"a", "c"}));
  for (Work* work : {&a, &b, &c}) loop.at_next_turn(work->deferred);
  turn();
  EXPECT_EQ(take(), (Events{"a", "c"}));
}

TEST_F(LoopTest, ForgottenAndQueuedAgainWhileTheListRuns) {
  a.then = [&] {
    loop.forget(b.deferred);
    loop.at_end_of_turn(b.deferred);
  };
  for (Work* work : {&a, &b, &c}) loop.at_end_of_turn(work->deferred);
  turn();
  EXPECT_EQ(take(), (Events{"a", "c", "b"}));
}

TEST_F(LoopTest, WorkMayDestroyItsOwnerAndOthers) {
  auto first = std::make_unique<Work>(events, "first");
  auto second = std::make_unique<Work>(events, "second");
  a.then = [&] {
    for (auto* work : {&first, &second}) {
      loop.forget((*work)->deferred);
      work->reset();
    }
  };
  loop.at_end_of_turn(first->deferred);
  loop.forget(first->deferred);
  loop.at_end_of_turn(a.deferred);
  loop.at_end_of_turn(first->deferred);
  loop.at_end_of_turn(second->deferred);
  turn();
  EXPECT_EQ(take(), Events{"a"});
}

TEST_F(LoopTest, CallbacksWorkEndsInTheirTurn) {
  WatchedPipe pipe(loop, [&] {
    events.push_back("callback");
    loop.at_end_of_turn(a.deferred);
  });
  pipe.make_readable();
  turn();
  EXPECT_EQ(take(), (Events{"callback", "a"}));
}

TEST_F(LoopTest, HooksAreAroundABlockingPoll) {
  WatchedPipe pipe(loop, [&] { events.push_back("callback"); });
  turn();
  pipe.make_readable();
  a.then = [&] { loop.at_end_of_turn(b.deferred); };
  loop.at_end_of_turn(a.deferred);
  loop.run(RunMode::kOnce);
  EXPECT_EQ(take(), (Events{"a", "b", "before poll", "after poll", "callback"}));
}

TEST_F(LoopTest, HooksAreNotCalledWithoutBlocking) {
  WatchedPipe pipe(loop, [&] { events.push_back("callback"); });
  turn();
  turn();
  EXPECT_EQ(take(), Events());
  loop.at_end_of_turn(a.deferred);
  a.then = [&] { loop.at_next_turn(b.deferred); };
  loop.run(RunMode::kOnce);  // the next turn's work waits: this one does not block
  EXPECT_EQ(take(), Events{"a"});
  pipe.make_readable();
  turn();
  EXPECT_EQ(take(), (Events{"b", "callback"}));
}

TEST_F(LoopTest, AfterPollComesOnceForSeveralCallbacks) {
  WatchedPipe first(loop, [&] { events.push_back("callback"); });
  WatchedPipe second(loop, [&] { events.push_back("callback"); });
  turn();
  first.make_readable();
  second.make_readable();
  loop.run(RunMode::kOnce);
  EXPECT_EQ(take(), (Events{"before poll", "after poll", "callback", "callback"}));
}

TEST_F(LoopTest, AfterPollComesEvenIfNothingHappened) {
  Deadline deadline(
      loop.wheel(), [](void*) {}, nullptr);
  deadline.arm(std::chrono::milliseconds(1));
  while (deadline.armed()) loop.run(RunMode::kOnce);
  Events seen = take();
  ASSERT_GE(seen.size(), 2u);
  EXPECT_EQ(seen[0], "before poll");
  EXPECT_EQ(seen[1], "after poll");
}

// From another thread, however often, it is one wake.
TEST_F(LoopTest, AWakeEndsThePoll) {
  int wakes = 0;
  Wake wake(
      loop.poller(), [](void* count) { ++*static_cast<int*>(count); }, &wakes);
  std::thread other([&] {
    wake.send();
    wake.send();
  });
  while (wakes == 0) loop.run(RunMode::kOnce);
  other.join();
  turn();
  turn();
  EXPECT_LE(wakes, 2);
  EXPECT_GE(wakes, 1);
  wakes = 0;
  wake.send();
  turn();
  turn();
  EXPECT_EQ(wakes, 1);
}

TEST_F(LoopTest, WithoutItsDescriptorItSaysSo) {
  EXPECT_TRUE(loop.run(RunMode::kNoWait));
  int kept = ::dup(loop.backend_fd());
  ::close(loop.backend_fd());
  EXPECT_FALSE(loop.run(RunMode::kOnce));
  ASSERT_EQ(::dup2(kept, loop.backend_fd()), loop.backend_fd());
  ::close(kept);
}

TEST_F(LoopTest, SaysWhenAnotherLoopMustRunIt) {
  int before = changes;
  loop.at_end_of_turn(a.deferred);
  EXPECT_EQ(changes, before + 1);
  loop.at_end_of_turn(b.deferred);  // is seen with the first
  EXPECT_EQ(changes, before + 1);
  turn();
  before = changes;
  loop.at_next_turn(a.deferred);
  EXPECT_EQ(changes, before + 1);
  turn();
}

TEST_F(LoopTest, CountsTurns) {
  EXPECT_FALSE(loop.in_turn());
  std::uint64_t inside = 0;
  a.then = [&] {
    EXPECT_TRUE(loop.in_turn());
    inside = loop.turn();
  };
  std::uint64_t before = loop.turn();
  loop.at_end_of_turn(a.deferred);
  turn();
  EXPECT_EQ(inside, before + 1);
  EXPECT_EQ(loop.turn(), before + 1);
  EXPECT_FALSE(loop.in_turn());
}

TEST_F(LoopTest, KnowsTheTime) {
  std::time_t before = std::time(nullptr);
  turn();
  std::time_t seen = loop.wall_seconds();
  EXPECT_GE(seen, before);
  EXPECT_LE(seen, std::time(nullptr));
  EXPECT_GE(loop.backend_fd(), 0);
}

TEST(Loop, ErrorsAreAPhraseWithTheName) {
  EXPECT_EQ(error_text(ECONNRESET), "connection reset by peer (ECONNRESET)");
}

}  // namespace
}  // namespace fasterapi::net
