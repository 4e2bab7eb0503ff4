#include "server/base/failure.h"

namespace fasterapi::base {

Failure::Failure(int code, std::string_view why) : status(code), reason(why) {}

}  // namespace fasterapi::base
