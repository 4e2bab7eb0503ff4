#include "server/base/date.h"

#include <algorithm>

namespace fasterapi::base {

namespace {

constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
constexpr std::string_view kShape = "Ddd, 00 Mmm 0000 00:00:00 GMT";
constexpr std::time_t kLastSecond = 253402300799;  // of year 9999: IMF-fixdate has four digits

void put_digits(char* at, int number, int width) {
  for (int i = width - 1; i >= 0; --i, number /= 10) at[i] = static_cast<char>('0' + number % 10);
}

}  // namespace

// Not strftime: day and month names must not follow the process's locale.
std::string_view DateCache::at(std::time_t now) {
  std::string_view text(text_.data(), text_.size());
  if (now == second_) return text;
  second_ = now;
  std::time_t shown = std::clamp<std::time_t>(now, 0, kLastSecond);
  std::tm utc{};
  gmtime_r(&shown, &utc);
  char* out = text_.data();
  kShape.copy(out, kShape.size());
  kDays.copy(out, 3, static_cast<std::size_t>(utc.tm_wday) * 3);
  put_digits(out + 5, utc.tm_mday, 2);
  kMonths.copy(out + 8, 3, static_cast<std::size_t>(utc.tm_mon) * 3);
  put_digits(out + 12, utc.tm_year + 1900, 4);
  put_digits(out + 17, utc.tm_hour, 2);
  put_digits(out + 20, utc.tm_min, 2);
  put_digits(out + 23, utc.tm_sec, 2);
  return text;
}

}  // namespace fasterapi::base
