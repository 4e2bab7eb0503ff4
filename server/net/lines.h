// Whole lines to a file descriptor that somebody else may not be emptying.
#pragma once

#include <cstddef>
#include <string_view>

namespace fasterapi::net {

// A line of at most this many bytes is written whole or not at all (POSIX's PIPE_BUF).
inline constexpr std::size_t kMaxLine = 4096;

// Writes as many of `lines` (each ends with '\n') as `fd` takes without blocking and returns how
// many were dropped: for a full disk, a closed pipe, or a pipe that is full. SIGPIPE must be
// ignored in this process, as CPython does.
std::size_t write_lines(int fd, std::string_view lines);

}  // namespace fasterapi::net
