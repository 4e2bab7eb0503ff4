// The other end of permessage-deflate for tests: bare zlib, with a window and an order of calls of its own.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <random>
#include <string>
#include <string_view>

#include "server/websocket/deflate.h"

namespace fasterapi::websocket {

inline constexpr std::string_view kEmptyBlock{"\x00\x00\xff\xff", 4};

class ZlibPeer {
 public:
  explicit ZlibPeer(int sent_bits = 15, int received_bits = 15, int level = 9, int memory_level = 8) {
    EXPECT_EQ(deflateInit2(&out_, level, Z_DEFLATED, -sent_bits, memory_level, Z_DEFAULT_STRATEGY), Z_OK);
    EXPECT_EQ(inflateInit2(&in_, -received_bits), Z_OK);
  }
  ~ZlibPeer() {
    deflateEnd(&out_);
    inflateEnd(&in_);
  }
  ZlibPeer(const ZlibPeer&) = delete;
  ZlibPeer& operator=(const ZlibPeer&) = delete;

  // One message as a client would send it.
  std::string deflate(std::string_view message) {
    if (message.empty()) return std::string(1, '\0');
    std::string sent = compress(message, Z_SYNC_FLUSH);
    EXPECT_TRUE(sent.ends_with(kEmptyBlock));
    sent.resize(sent.size() - kEmptyBlock.size());
    return sent;
  }
  // Bare output of zlib, with all that the flush brings.
  std::string compress(std::string_view message, int flush) {
    std::string sent(deflateBound(&out_, message.size()) + 64, '\0');
    out_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(message.data()));
    out_.avail_in = static_cast<unsigned>(message.size());
    out_.next_out = reinterpret_cast<Bytef*>(sent.data());
    out_.avail_out = static_cast<unsigned>(sent.size());
    ::deflate(&out_, flush);
    EXPECT_GT(out_.avail_out, 0u);
    sent.resize(sent.size() - out_.avail_out);
    return sent;
  }
  void forget_sent() { deflateReset(&out_); }

  // One message as a client would read it.
  std::string inflate(std::string_view payload) {
    std::string bytes = std::string(payload).append(kEmptyBlock);
    std::string message;
    std::array<char, 1000> piece;
    in_.next_in = reinterpret_cast<Bytef*>(bytes.data());
    in_.avail_in = static_cast<unsigned>(bytes.size());
    int status = Z_OK;
    while (status == Z_OK) {
      in_.next_out = reinterpret_cast<Bytef*>(piece.data());
      in_.avail_out = piece.size();
      status = ::inflate(&in_, Z_NO_FLUSH);
      message.append(piece.data(), piece.size() - in_.avail_out);
    }
    EXPECT_EQ(status, Z_BUF_ERROR) << (in_.msg == nullptr ? "" : in_.msg);
    EXPECT_EQ(in_.avail_in, 0u);
    return message;
  }

 private:
  z_stream out_{};
  z_stream in_{};
};

// Something like an application's messages: the same keys over and over, values that differ.
inline std::string json_message(std::size_t size, unsigned seed) {
  std::minstd_rand random(seed + 1);
  std::string text = "{\"type\": \"update\", \"items\": [";
  while (text.size() < size) {
    text += "{\"id\": " + std::to_string(random()) + ", \"price\": " + std::to_string(random() % 1000) +
            ", \"name\": \"instrument " + std::to_string(random() % 50) + "\", \"active\": true}, ";
  }
  text.resize(size);
  return text;
}

inline std::string noise(std::size_t size, unsigned seed) {
  std::minstd_rand random(seed + 1);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random() >> 8);
  return bytes;
}

}  // namespace fasterapi::websocket
