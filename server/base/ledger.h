// Counts the live objects of each kind, so that a test can show that none was left behind.
// One Ledger belongs to one loop's owner; entries are members of the objects they count.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace fasterapi::base {

enum class Kind : unsigned char {
  kServer,
  kConnection,
  kStream,
  kListener,
  kCycle,
  kAwaitable,
  kRun,
  kTransport,
};
inline constexpr std::array<std::string_view, 8> kKindNames = {"server", "connection", "stream", "listener",
                                                               "cycle",  "awaitable",  "run",    "transport"};

class Ledger {
 public:
  // Lives exactly as long as the object whose member it is. Neither copied nor moved.
  class Entry {
   public:
    Entry(Ledger& ledger, Kind kind) : count_(ledger.counts_[static_cast<std::size_t>(kind)]) { ++count_; }
    ~Entry() { --count_; }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    std::size_t& count_;
  };

  std::size_t count(Kind kind) const { return counts_[static_cast<std::size_t>(kind)]; }

 private:
  std::array<std::size_t, kKindNames.size()> counts_{};
};

}  // namespace fasterapi::base
