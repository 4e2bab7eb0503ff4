// For tests of memory: what the whole executable allocates by operator new. Include it in one file of it.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace fasterapi::testing {

// Each allocation carries its size before it, so that what is live can be counted.
inline constexpr std::size_t kAllocationPrefix = alignof(std::max_align_t);
inline std::size_t allocations = 0;
inline std::size_t live_bytes = 0;

}  // namespace fasterapi::testing

void* operator new(std::size_t size) {
  using namespace fasterapi::testing;
  void* block = std::malloc(size + kAllocationPrefix);
  if (block == nullptr) throw std::bad_alloc();
  *static_cast<std::size_t*>(block) = size;
  ++allocations;
  live_bytes += size;
  return static_cast<char*>(block) + kAllocationPrefix;
}

void operator delete(void* pointer) noexcept {
  using namespace fasterapi::testing;
  if (pointer == nullptr) return;
  void* block = static_cast<char*>(pointer) - kAllocationPrefix;
  live_bytes -= *static_cast<std::size_t*>(block);
  std::free(block);
}

void operator delete(void* pointer, std::size_t) noexcept { operator delete(pointer); }
