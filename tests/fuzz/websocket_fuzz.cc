// The WebSocket codec: no input crashes it, and an input says the same however it is cut.
// The first byte chooses limits and what was negotiated, the second the cuts; the rest is what a client
// sends behind its handshake.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "server/websocket/transcript.h"

namespace {

using namespace fasterapi;

std::string transcript(std::string_view input, std::uint8_t options,
                       const std::function<std::size_t()>& next) {
  base::WebSocketSettings settings;
  if ((options & 1) != 0) {
    // Limits that short inputs reach.
    settings.max_message = 20;
    settings.max_fragments = 4;
    settings.max_frames_per_turn = 2;
    settings.queue_high_water = 10;
  }
  websocket::DeflatePool pool;
  const websocket::DeflateParameters parameters{false, (options & 4) != 0, 15, (options & 8) != 0 ? 9 : 15};
  auto deflate = std::make_unique<websocket::MessageDeflate>(pool, parameters, settings);
  if ((options & 2) == 0) deflate.reset();
  websocket::Transcript made(settings, std::move(deflate));
  while (!input.empty()) {
    std::string piece(input.substr(0, next()));
    made.feed(piece, (options & 16) != 0 ? 1 : 32);
    if ((options & 32) != 0) made.codec().rest();
    input.remove_prefix(piece.size());
  }
  return made.text();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  std::uint32_t seed = data[1];  // pieces of 1..16 bytes
  auto by_chance = [&] { return 1 + ((seed = seed * 1664525 + 1013904223) >> 28); };
  const std::string whole = transcript(input, data[0], [] { return SIZE_MAX; });
  const std::string bytewise = transcript(input, data[0], [] { return 1; });
  const std::string pieces = transcript(input, data[0], by_chance);
  if (whole != bytewise || whole != pieces) {
    std::fprintf(stderr, "whole:\n%s\none by one:\n%s\nin pieces:\n%s\n", whole.c_str(), bytewise.c_str(),
                 pieces.c_str());
    std::abort();
  }
  return 0;
}
