// For tests: one request of a client, and what is answered to it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/http1/codec.h"

namespace fasterapi::http1 {

inline constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
inline constexpr std::string_view kHead = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
inline constexpr std::string_view kGetClose = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
inline constexpr std::string_view kGet10 = "GET / HTTP/1.0\r\n\r\n";
inline constexpr std::string_view kGet10Keep = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
inline constexpr std::string_view kHead10Keep = "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";

class Answer {
 public:
  explicit Answer(std::string_view request = kGet, const DefaultHeaders& defaults = {})
      : request_(request), defaults_(defaults) {
    codec.receive(request_);
  }

  base::Result<void> head(int status, std::vector<base::Header> headers = {}) {
    return codec.send_head({status, headers}, defaults_);
  }
  base::Result<void> body(std::string_view bytes, base::Last last) { return codec.send_body(bytes, last); }
  std::string sent() { return codec.output().to_string(); }

  base::Settings settings;
  Codec codec{settings};

 private:
  std::string request_;
  DefaultHeaders defaults_;
};

}  // namespace fasterapi::http1
