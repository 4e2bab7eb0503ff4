// Work that waits in one of the loop's lists.
#pragma once

namespace fasterapi::net {

// A function and the object it is for. Queued at most once at a time; the owner calls
// Loop::forget() before it dies.
struct Deferred {
  void (*run)(void* self) = nullptr;
  void* self = nullptr;
  bool queued = false;
};

}  // namespace fasterapi::net
