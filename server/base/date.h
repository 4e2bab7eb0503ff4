// The Date header's value (RFC 9110 5.6.7, IMF-fixdate), rendered once a second.
#pragma once

#include <array>
#include <cstdint>
#include <ctime>
#include <string_view>

namespace fasterapi::base {

class DateCache {
 public:
  // `now` in seconds since the epoch; the caller has the clock.
  std::string_view at(std::time_t now);  // 29 characters: "Sun, 06 Nov 1994 08:49:37 GMT"

 private:
  std::time_t second_ = -1;
  std::array<char, 29> text_{};
};

}  // namespace fasterapi::base
