// For tests: a client's frames, and what a codec must say about them, however they are cut.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <string_view>

#include "server/websocket/transcript.h"

namespace fasterapi::websocket {

// First bytes of frames.
inline constexpr int kFinText = 0x81, kFinBinary = 0x82, kFinContinuation = 0x80;
inline constexpr int kFirstText = 0x01, kFirstBinary = 0x02, kNextFragment = 0x00;
inline constexpr int kFinClose = 0x88, kFinPing = 0x89, kFinPong = 0x8a;

// A frame as a client sends it, in the shortest form; written by the letter of RFC 6455 5.2 and 5.3.
inline std::string frame(int first, std::string_view payload, std::string_view key = "\x12\x34\xab\xcd") {
  std::string made(1, static_cast<char>(first));
  const std::size_t size = payload.size();
  if (size <= 125) {
    made += static_cast<char>(0x80 | size);
  } else {
    const int bytes = size <= 65535 ? 2 : 8;
    made += static_cast<char>(0x80 | (bytes == 2 ? 126 : 127));
    for (int i = bytes - 1; i >= 0; --i)
      made += static_cast<char>(static_cast<std::uint64_t>(size) >> (8 * i));
  }
  made += key.substr(0, 4);
  for (std::size_t i = 0; i < size; ++i) made += static_cast<char>(payload[i] ^ key[i % 4]);
  return made;
}

inline std::string close_frame(int code, std::string_view reason = "") {
  std::string payload = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  return frame(kFinClose, payload.append(reason));
}

// What the server sends: unmasked.
inline std::string sent(int first, std::string_view payload) {
  std::string made = {static_cast<char>(first), static_cast<char>(payload.size())};
  return made.append(payload);
}

using MakeDeflate = std::function<std::unique_ptr<MessageDeflate>()>;

// The transcript of `input` in pieces: `next` gives the size of each.
inline std::string transcript(std::string_view input, const std::function<std::size_t()>& next,
                              const base::WebSocketSettings& settings, std::size_t max_messages,
                              const MakeDeflate& deflate) {
  Transcript made(settings, deflate ? deflate() : nullptr);
  while (!input.empty()) {
    // A copy of exactly these bytes, so that the address sanitizer sees a read beyond them.
    std::string piece(input.substr(0, next()));
    made.feed(piece, max_messages);
    input.remove_prefix(piece.size());
  }
  return made.text();
}

// Every input runs whole, one byte at a time, one message at a time, and in pieces by chance. `expected`
// ends before the line of what was sent, which `answer` is.
inline void expect_transcript(std::string_view input, std::string_view expected, std::string_view answer = "",
                              const base::WebSocketSettings& settings = {}, const MakeDeflate& deflate = {}) {
  std::string all(expected);
  all.append("sent ").append(answer).append("\n");
  auto whole = [&] { return input.size(); };
  EXPECT_EQ(transcript(input, whole, settings, 32, deflate), all) << "whole";
  EXPECT_EQ(transcript(input, whole, settings, 1, deflate), all) << "one message a call";
  EXPECT_EQ(transcript(
                input, [] { return 1; }, settings, 32, deflate),
            all)
      << "one byte at a time";
  std::minstd_rand random(static_cast<unsigned>(input.size()));
  for (std::size_t most : {3, 10, 100, 3000}) {
    auto by_chance = [&] { return 1 + random() % most; };
    EXPECT_EQ(transcript(input, by_chance, settings, 2, deflate), all) << "pieces of up to " << most;
    base::WebSocketSettings in_place = settings;
    in_place.in_place_threshold = 0;
    EXPECT_EQ(transcript(input, by_chance, in_place, 2, deflate), all) << "in place, up to " << most;
  }
}

// The failure that an input ends in, whatever follows it.
inline void expect_failure(std::string_view input, int code, std::string_view events_before = "",
                           const base::WebSocketSettings& settings = {}, const MakeDeflate& deflate = {}) {
  const std::string expected = std::string(events_before) + "fail " + std::to_string(code) + "\n";
  for (std::string_view more : {std::string_view(), std::string_view("\x81\x80 key")}) {
    const std::string all = std::string(input).append(more);
    for (std::size_t piece : {all.size(), std::size_t{1}, std::size_t{7}}) {
      Transcript made(settings, deflate ? deflate() : nullptr);
      for (std::size_t at = 0; at < all.size(); at += piece) made.feed(all.substr(at, piece));
      EXPECT_EQ(made.events(), expected) << "pieces of " << piece;
      // Our Close, with the code, once.
      const std::string output = made.codec().output().to_string();
      const std::size_t close = output.rfind('\x88');
      ASSERT_NE(close, std::string::npos);
      ASSERT_EQ(close + 2 + static_cast<unsigned char>(output[close + 1]), output.size());
      EXPECT_EQ(
          static_cast<unsigned char>(output[close + 2]) * 256 + static_cast<unsigned char>(output[close + 3]),
          code);
      EXPECT_TRUE(made.codec().failed());
      EXPECT_TRUE(made.codec().wants_close());
      EXPECT_FALSE(made.codec().has_rest());
    }
  }
}

}  // namespace fasterapi::websocket
