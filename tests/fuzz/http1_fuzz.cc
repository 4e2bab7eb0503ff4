// The HTTP/1 codec: no input crashes it, and an input says the same however it is cut.
// The first two bytes choose the cuts and the limits; the rest is what a client sends. Every
// complete request is answered, so that what follows it is parsed too.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "server/http1/transcript.h"

namespace {

using fasterapi::base::Settings;
using fasterapi::http1::Transcript;

// Pieces of 1..16 bytes in a sequence that follows from the seed.
std::string in_pieces(std::string_view input, std::uint32_t seed, const Settings& settings) {
  Transcript transcript(settings);
  while (!input.empty()) {
    seed = seed * 1664525 + 1013904223;
    std::string piece(input.substr(0, 1 + (seed >> 28)));
    transcript.feed(piece);
    input.remove_prefix(piece.size());
  }
  return transcript.text();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  Settings settings;
  if ((data[0] & 1) != 0) {
    // Limits that short inputs reach.
    settings.max_request_line = 64;
    settings.max_head = 160;
    settings.max_header_fields = 4;
    settings.max_chunk_extensions = 16;
  }
  std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  std::string whole = fasterapi::http1::transcript(input, input.size() + 1, settings);
  std::string bytewise = fasterapi::http1::transcript(input, 1, settings);
  std::string pieces = in_pieces(input, data[0] * 256u + data[1], settings);
  if (whole != bytewise || whole != pieces) {
    std::fprintf(stderr, "whole:\n%s\none by one:\n%s\nin pieces:\n%s\n", whole.c_str(), bytewise.c_str(),
                 pieces.c_str());
    std::abort();
  }
  return 0;
}
