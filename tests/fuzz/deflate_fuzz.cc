// permessage-deflate: the first byte chooses what the rest is, and with which parameters.
// A payload to inflate: bounded, and the same however it is cut. Messages to deflate: they come back.
// Extension headers: an answer offers only what was asked for.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "server/websocket/deflate.h"

namespace {

using namespace fasterapi;
using websocket::MessageDeflate;

void check(bool holds) {
  if (!holds) std::abort();
}

class Target {
 public:
  explicit Target(unsigned choice)
      : parameters_{(choice & 4) != 0, (choice & 8) != 0, 9 + static_cast<int>(choice >> 4 & 1) * 6,
                    9 + static_cast<int>(choice >> 5 & 1) * 6} {
    settings_.deflate_level = 1 + static_cast<int>(choice >> 6) % 3;
  }

  // The payload twice, as two messages.
  void inflate(std::string_view payload) {
    constexpr std::size_t kLimit = 100'000;
    const std::size_t piece_of[] = {payload.size() + 1, 1, 7};
    std::string expected;
    MessageDeflate::Inflated results[3];
    for (int i = 0; i < 3; ++i) {
      MessageDeflate deflate(pool_, parameters_, settings_);
      std::string messages;
      for (int message = 0; message < 2; ++message) {
        results[i] = MessageDeflate::Inflated::kOk;
        for (std::string_view left = payload; results[i] == MessageDeflate::Inflated::kOk;) {
          const std::string_view piece = left.substr(0, piece_of[i]);
          left.remove_prefix(piece.size());
          results[i] =
              deflate.inflate(piece, left.empty() ? base::Last::kYes : base::Last::kNo, messages, kLimit);
          if (left.empty()) break;
        }
        if (results[i] != MessageDeflate::Inflated::kOk) break;
      }
      if (i == 0) expected = messages;
      check(messages.size() <= kLimit + 1);
      // zlib sees what reaches back beyond a smaller window only at the beginning of a piece.
      if (parameters_.client_max_window_bits < 15) continue;
      check(messages == expected && results[i] == results[0]);
    }
  }

  // Lines are messages; one that begins with '?' is forgotten.
  void deflate(std::string_view lines) {
    MessageDeflate sender(pool_, parameters_, settings_);
    MessageDeflate receiver(
        pool_, {false, parameters_.server_no_context_takeover, 9, parameters_.server_max_window_bits},
        settings_);
    while (!lines.empty()) {
      const std::string_view line = lines.substr(0, lines.find('\n'));
      lines.remove_prefix(std::min(line.size() + 1, lines.size()));
      std::string payload;
      std::string message;
      if (sender.deflate(line, payload) == websocket::Compressor::Result::kTooLong) {
        check(payload.empty());
        continue;
      }
      if (line.starts_with('?')) sender.forget_sent();
      check(receiver.inflate(payload, base::Last::kYes, message, line.size()) ==
            MessageDeflate::Inflated::kOk);
      check(message == line);
    }
  }

  void agree(std::string_view lines) {
    const bool knows = lines.find("client_max_window_bits") != std::string_view::npos;
    std::vector<std::string_view> offers;
    while (!lines.empty()) {
      offers.push_back(lines.substr(0, lines.find('\n')));
      lines.remove_prefix(std::min(offers.back().size() + 1, lines.size()));
    }
    auto agreement = websocket::agree_on_deflate(offers, settings_);
    if (!agreement) return;
    const int server = agreement->parameters.server_max_window_bits;
    const int client = agreement->parameters.client_max_window_bits;
    check(server >= 9 && server <= settings_.server_max_window_bits && client >= 8 && client <= 15);
    check(knows || agreement->response.find("client_max_window_bits") == std::string::npos);
    // Our own answer, as an offer, is one that we accept unchanged.
    const std::string_view again = agreement->response;
    check(websocket::agree_on_deflate(std::span(&again, 1), settings_)->response == agreement->response);
  }

 private:
  websocket::DeflatePool pool_;
  websocket::DeflateParameters parameters_;
  base::WebSocketSettings settings_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Target target(data[0]);
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 3) == 0) target.agree(input);
  if ((data[0] & 3) == 1) target.deflate(input);
  if ((data[0] & 3) >= 2) target.inflate(input);
  return 0;
}
