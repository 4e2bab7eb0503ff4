// A fault as a value: what went wrong, and the HTTP status that says so to a peer.
// C++ exceptions never cross a C callback here, so faults travel as Failure and Result<T>.
#pragma once

#include <cassert>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace fasterapi::base {

struct Failure {
  int status = 0;      // HTTP status for the peer; 0 when no answer can or should be sent
  std::string reason;  // one short English phrase, for the log and the exception's text
};

// Either a value or a Failure. Result<void> carries only success or the Failure.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Failure failure) : failure_(std::move(failure)) {}

  explicit operator bool() const { return value_.has_value(); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const Failure& failure() const { return failure_; }

 private:
  std::optional<T> value_;
  Failure failure_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Failure failure) : failure_(std::make_unique<Failure>(std::move(failure))) {}

  explicit operator bool() const { return failure_ == nullptr; }
  const Failure& failure() const {
    assert(failure_ != nullptr);
    return *failure_;
  }

 private:
  std::unique_ptr<Failure> failure_;  // null on success, so that success costs one pointer
};

}  // namespace fasterapi::base
