#include "server/base/log.h"

#include <spdlog/details/null_mutex.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include <array>
#include <cstdio>
#include <string>
#include <utility>

namespace fasterapi::base {

namespace {

constexpr std::array<std::string_view, 6> kPrefixes = {
    "TRACE:    ", "DEBUG:    ", "INFO:     ", "WARNING:  ", "ERROR:    ", "CRITICAL: "};

// Both enumerations go from trace to off in the same steps.
static_assert(static_cast<int>(LogLevel::kWarning) == SPDLOG_LEVEL_WARN);
static_assert(static_cast<int>(LogLevel::kOff) == SPDLOG_LEVEL_OFF);

spdlog::level::level_enum to_spdlog(LogLevel level) {
  return static_cast<spdlog::level::level_enum>(static_cast<int>(level));
}

class FunctionSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit FunctionSink(Log::Sink target) : target_(std::move(target)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    target_(static_cast<LogLevel>(message.level), {message.payload.data(), message.payload.size()});
  }
  void flush_() override {}

  Log::Sink target_;
};

// One call of fwrite for a line: lines of several workers on one terminal do not mix.
void write_to_stderr(LogLevel level, std::string_view message) {
  std::string line(kPrefixes[static_cast<std::size_t>(level)]);
  line.append(message).push_back('\n');
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace

Log::Log(LogLevel level, Sink sink)
    : logger_(std::make_shared<spdlog::logger>("", std::make_shared<FunctionSink>(std::move(sink)))) {
  logger_->set_level(to_spdlog(level));
}

Log::Log(LogLevel level) : Log(level, write_to_stderr) {}

Log::~Log() = default;

bool Log::enabled(LogLevel level) const { return logger_->should_log(to_spdlog(level)); }

void Log::write(LogLevel level, std::string_view message) {
  if (level == LogLevel::kOff || !enabled(level)) return;
  // As a view and without arguments: braces in the message are no format.
  logger_->log(to_spdlog(level), spdlog::string_view_t(message.data(), message.size()));
}

void append_escaped(std::string& out, std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte <= 0x7e && c != '"' && c != '\\') {
      out.push_back(c);
    } else {
      out.append("\\x").append({kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
}

}  // namespace fasterapi::base
