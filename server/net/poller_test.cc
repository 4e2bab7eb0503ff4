#include "server/net/poller.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace fasterapi::net {
namespace {

// A pipe, both of whose ends the test may close.
struct Pipe {
  Pipe() { EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0); }
  ~Pipe() {
    for (int end : ends) {
      if (end >= 0) ::close(end);
    }
  }
  int read_end() const { return ends[0]; }
  void fill() const { EXPECT_EQ(::write(ends[1], "x", 1), 1); }
  void close(int which) { ::close(std::exchange(ends[static_cast<std::size_t>(which)], -1)); }
  std::array<int, 2> ends{};
};

struct Recorder {
  explicit Recorder(Poller& poller)
      : watch(std::make_unique<Watch>(
            poller,
            [](void* self, bool readable, bool writable) {
              auto* recorder = static_cast<Recorder*>(self);
              recorder->reads += readable ? 1 : 0;
              recorder->writes += writable ? 1 : 0;
              if (recorder->then) recorder->then();
            },
            this)) {}
  std::unique_ptr<Watch> watch;
  int reads = 0;
  int writes = 0;
  std::function<void()> then;
};

class PollerTest : public ::testing::Test {
 protected:
  void turn() {
    poller.wait(0);
    poller.dispatch();
  }
  Poller poller;
};

TEST_F(PollerTest, TellsWhatIsReadyUntilItIsStopped) {
  Pipe pipe;
  Recorder recorder(poller);
  EXPECT_EQ(recorder.watch->set(pipe.read_end(), true, false), 0);
  turn();
  EXPECT_EQ(recorder.reads, 0);
  pipe.fill();
  turn();
  turn();
  EXPECT_EQ(recorder.reads, 2);
  EXPECT_EQ(recorder.writes, 0);
  EXPECT_EQ(recorder.watch->set(pipe.read_end(), false, false), 0);
  turn();
  EXPECT_EQ(recorder.reads, 2);
}

TEST_F(PollerTest, AHangUpIsBoth) {
  Pipe pipe;
  Recorder recorder(poller);
  EXPECT_EQ(recorder.watch->set(pipe.read_end(), true, false), 0);
  pipe.close(1);
  turn();
  EXPECT_EQ(recorder.reads, 1);
  EXPECT_EQ(recorder.writes, 1);
}

TEST_F(PollerTest, WhatCannotBeWatchedIsAnError) {
  Recorder recorder(poller);
  EXPECT_EQ(recorder.watch->set(-1, true, false), EBADF);
  Pipe pipe;
  int number = pipe.read_end();
  pipe.close(0);
  EXPECT_EQ(recorder.watch->set(number, true, false), EBADF);
  int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(recorder.watch->set(file, true, false), EPERM);
  ::close(file);
}

TEST_F(PollerTest, OneWatchForADescriptor) {
  Pipe pipe;
  Recorder first(poller);
  Recorder second(poller);
  EXPECT_EQ(first.watch->set(pipe.read_end(), true, false), 0);
  EXPECT_EQ(second.watch->set(pipe.read_end(), true, false), EEXIST);
  pipe.fill();
  turn();
  EXPECT_EQ(first.reads, 1);
  EXPECT_EQ(second.reads, 0);
}

// A number that was closed without a word and given out again belongs to its new owner: the old
// Watch hears nothing more, and does no harm when it ends.
TEST_F(PollerTest, ANumberThatWasGivenOutAgainChangesHands) {
  Recorder first(poller);
  Recorder second(poller);
  Pipe old;
  int number = old.read_end();
  EXPECT_EQ(first.watch->set(number, true, false), 0);
  Pipe pipe;
  ASSERT_EQ(::dup3(pipe.read_end(), number, O_CLOEXEC), number);
  EXPECT_EQ(second.watch->set(number, true, false), 0);
  first.watch.reset();
  pipe.fill();
  turn();
  EXPECT_EQ(first.reads, 0);
  EXPECT_EQ(second.reads, 1);
}

TEST_F(PollerTest, AWatchFollowsItsOwnNumberToANewFile) {
  Recorder recorder(poller);
  Pipe old;
  int number = old.read_end();
  EXPECT_EQ(recorder.watch->set(number, true, false), 0);
  Pipe pipe;
  ASSERT_EQ(::dup3(pipe.read_end(), number, O_CLOEXEC), number);
  EXPECT_EQ(recorder.watch->set(number, true, false), 0);
  pipe.fill();
  turn();
  EXPECT_EQ(recorder.reads, 1);
}

// The kernel goes on to watch a file through a copy of its descriptor, in a child say.
TEST_F(PollerTest, AnEventForAWatchThatIsGoneIsNobodys) {
  Pipe pipe;
  auto recorder = std::make_unique<Recorder>(poller);
  EXPECT_EQ(recorder->watch->set(pipe.read_end(), true, false), 0);
  int copy = ::dup(pipe.read_end());
  pipe.close(0);
  pipe.fill();
  recorder.reset();
  turn();
  ::close(copy);
}

TEST_F(PollerTest, WatchesMayEndInsideACall) {
  std::vector<Pipe> pipes(3);
  std::vector<std::unique_ptr<Recorder>> recorders;
  int calls = 0;
  for (Pipe& pipe : pipes) {
    recorders.push_back(std::make_unique<Recorder>(poller));
    EXPECT_EQ(recorders.back()->watch->set(pipe.read_end(), true, false), 0);
    recorders.back()->then = [&] {
      ++calls;
      for (auto& recorder : recorders) recorder->watch.reset();
    };
    pipe.fill();
  }
  turn();
  EXPECT_EQ(calls, 1);
}

TEST_F(PollerTest, AForkedChildTakesNothingFromItsParent) {
  Pipe pipe;
  Recorder recorder(poller);
  EXPECT_EQ(recorder.watch->set(pipe.read_end(), true, false), 0);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    recorder.watch.reset();
    _exit(0);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  pipe.fill();
  turn();
  EXPECT_EQ(recorder.reads, 1);
}

TEST_F(PollerTest, AForkedChildThatRunsTheLoopIsNotToldForEver) {
  Pipe pipe;
  Recorder recorder(poller);
  EXPECT_EQ(recorder.watch->set(pipe.read_end(), true, false), 0);
  pipe.fill();
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    recorder.watch.reset();
    turn();
    pollfd ready{poller.fd(), POLLIN, 0};
    _exit(poll(&ready, 1, 0));
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// What the kernel says that an epoll watches `fd` for.
std::uint32_t watched_events(const Poller& poller, int fd) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(poller.fd()));
  std::string word;
  while (info >> word) {
    int target = -1;
    std::uint32_t events = 0;
    if (word == "tfd:" && info >> target >> word >> std::hex >> events >> std::dec && target == fd) {
      return events;
    }
  }
  return 0;
}

TEST_F(PollerTest, ASharedSocketDoesNotWakeEverybody) {
  Pipe pipe;
  Recorder recorder(poller);
  EXPECT_EQ(recorder.watch->share(pipe.read_end()), 0);
  EXPECT_NE(watched_events(poller, pipe.read_end()) & EPOLLEXCLUSIVE, 0u);
  pipe.fill();
  turn();
  EXPECT_EQ(recorder.reads, 1);
  EXPECT_EQ(recorder.watch->share(pipe.read_end()), 0);  // ready still, at the end of the line too
  turn();
  EXPECT_EQ(recorder.reads, 2);
  recorder.watch->stop();
  turn();
  EXPECT_EQ(recorder.reads, 2);
}

// Whoever waited longest is served first when more are ready than one batch takes.
TEST_F(PollerTest, ServesAllInTurn) {
  std::vector<Pipe> pipes(100);
  std::vector<std::unique_ptr<Recorder>> recorders;
  for (Pipe& pipe : pipes) {
    recorders.push_back(std::make_unique<Recorder>(poller));
    EXPECT_EQ(recorders.back()->watch->set(pipe.read_end(), true, false), 0);
    pipe.fill();
  }
  int turns = 0;
  do {
    turn();
    ++turns;
  } while (turns < 4);
  for (auto& recorder : recorders) EXPECT_GE(recorder->reads, 1);
}

}  // namespace
}  // namespace fasterapi::net
