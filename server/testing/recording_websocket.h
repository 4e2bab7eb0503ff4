// The application's side of one WebSocket in tests: writes down what it is told, and has the test's means
// to answer. And the frames of a client.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/connection/websocket.h"

namespace fasterapi::testing {

class RecordedWebSocket final : public connection::WebSocketSink {
 public:
  void on_message(websocket::MessageKind, std::string_view payload) override {
    EXPECT_TRUE(socket != nullptr);
    messages.emplace_back(payload);
    if (takes) socket->taken(payload.size());
    if (echoes) {
      EXPECT_TRUE(socket->send(websocket::MessageKind::kText, payload, websocket::Compress::kAuto));
    }
  }
  std::unique_ptr<websocket::MessageBuffer> make_buffer() override { return nullptr; }
  void on_message(std::unique_ptr<websocket::MessageBuffer>, std::size_t) override { ADD_FAILURE(); }
  void on_pong(std::string_view payload) override { pongs.emplace_back(payload); }
  void on_writable() override {
    EXPECT_TRUE(socket->writable());
    ++writables;
  }
  void on_closed(std::uint16_t with, std::string_view why) override {
    EXPECT_EQ(code, 0) << "closed twice";
    socket = nullptr;
    code = with;
    reason = why;
  }

  base::Result<void> send(std::string_view text) {
    return socket->send(websocket::MessageKind::kText, text, websocket::Compress::kAuto);
  }
  // Closing ends the link from this side.
  base::Result<void> close(std::uint16_t with, std::string_view why) {
    base::Result<void> result = socket->close(with, why);
    if (result) socket = nullptr;
    return result;
  }

  connection::WebSocket* socket = nullptr;  // null once the link is cut
  std::vector<std::string> messages;
  std::vector<std::string> pongs;
  int writables = 0;
  std::uint16_t code = 0;  // of on_closed()
  std::string reason;
  bool takes = true;
  bool echoes = false;
};

// A frame as a client sends it: masked (RFC 6455 5.3).
inline std::string client_frame(int opcode, std::string_view payload, bool fin = true) {
  std::string frame{static_cast<char>((fin ? 0x80 : 0) | opcode)};
  if (payload.size() < 126) {
    frame.push_back(static_cast<char>(0x80 | payload.size()));
  } else {
    const bool is_long = payload.size() > 0xffff;
    frame.push_back(static_cast<char>(0x80 | (is_long ? 127 : 126)));
    for (int byte = is_long ? 7 : 1; byte >= 0; --byte) {
      frame.push_back(static_cast<char>(payload.size() >> (8 * byte)));
    }
  }
  constexpr std::array<char, 4> kKey = {0x37, static_cast<char>(0xfa), 0x21, 0x3d};
  frame.append(kKey.data(), kKey.size());
  for (std::size_t i = 0; i < payload.size(); ++i)
    frame.push_back(static_cast<char>(payload[i] ^ kKey[i % 4]));
  return frame;
}

inline std::string close_frame(std::uint16_t code, std::string_view reason = {}) {
  std::string payload = {static_cast<char>(code >> 8), static_cast<char>(code)};
  return client_frame(8, payload.append(reason));
}

// A short frame as the server sends it.
inline std::string server_frame(int opcode, std::string_view payload) {
  std::string frame = {static_cast<char>(0x80 | opcode), static_cast<char>(payload.size())};
  return frame.append(payload);
}

inline std::string server_close(std::uint16_t code, std::string_view reason = {}) {
  std::string payload = {static_cast<char>(code >> 8), static_cast<char>(code)};
  return server_frame(8, payload.append(reason));
}

}  // namespace fasterapi::testing
