// The only face of spdlog: levelled messages of the C++ rooms to a sink that the owner chose.
// A Log is passed by reference to who needs it; there is no default logger.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

namespace spdlog {
class logger;
}

namespace fasterapi::base {

enum class LogLevel : unsigned char { kTrace, kDebug, kInfo, kWarning, kError, kCritical, kOff };

class Log {
 public:
  using Sink = std::function<void(LogLevel, std::string_view message)>;

  // Messages below `level` cost one comparison. The sink may be called from the loop's thread only.
  Log(LogLevel level, Sink sink);
  // Lines "INFO:     message" on standard error, as uvicorn writes them.
  explicit Log(LogLevel level);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  bool enabled(LogLevel level) const;
  void write(LogLevel level, std::string_view message);

  void debug(std::string_view message) { write(LogLevel::kDebug, message); }
  void info(std::string_view message) { write(LogLevel::kInfo, message); }
  void warning(std::string_view message) { write(LogLevel::kWarning, message); }
  void error(std::string_view message) { write(LogLevel::kError, message); }

 private:
  std::shared_ptr<spdlog::logger> logger_;
};

// `text` with every byte outside 0x20..0x7e, and '"' and '\', written as \xHH: no client can
// forge a line or drive a terminal (reliability C11).
void append_escaped(std::string& out, std::string_view text);

}  // namespace fasterapi::base
