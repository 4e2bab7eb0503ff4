// A fault as a value: what went wrong, and the HTTP status that says so to a peer.
// C++ exceptions never cross a C callback here, so faults travel as Failure and Result<T>.
//
// Making a Failure is marked cold: the compiler moves every path that ends in one out of the way of
// those that run for each request.
#pragma once

#include <cassert>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace fasterapi::base {

struct Failure {
  Failure() = default;
  [[gnu::cold]] Failure(int code, std::string_view why);

  int status = 0;      // HTTP status for the peer; 0 when no answer can or should be sent
  std::string reason;  // one short English phrase, for the log and the exception's text
};

// Either a value or a Failure. Result<void> carries only success or the Failure.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  [[gnu::cold]] Result(Failure failure) : failure_(std::make_unique<Failure>(std::move(failure))) {}

  explicit operator bool() const { return value_.has_value(); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const Failure& failure() const {
    assert(failure_ != nullptr);
    return *failure_;
  }

 private:
  std::optional<T> value_;
  std::unique_ptr<Failure> failure_;  // null on success, so that success costs one pointer
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  [[gnu::cold]] Result(Failure failure) : failure_(std::make_unique<Failure>(std::move(failure))) {}

  explicit operator bool() const { return failure_ == nullptr; }
  const Failure& failure() const {
    assert(failure_ != nullptr);
    return *failure_;
  }

 private:
  std::unique_ptr<Failure> failure_;
};

}  // namespace fasterapi::base
