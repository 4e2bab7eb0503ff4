#include "server/websocket/mask.h"

#include <cstring>

namespace fasterapi::websocket {

namespace {

// One register of SSE2 or NEON where there is one: GCC and clang turn it into words elsewhere.
using Block = std::uint8_t __attribute__((vector_size(16)));

template <class Word>
void unmask_one(const char* from, char* to, const Block& mask) {
  Word word;
  Word key;
  std::memcpy(&word, from, sizeof word);
  std::memcpy(&key, &mask, sizeof key);
  word ^= key;
  std::memcpy(to, &word, sizeof word);
}

}  // namespace

void unmask(const char* from, char* to, std::size_t count, MaskingKey key, std::uint64_t offset) {
  // The key as it lies over the payload from `offset` on. Blocks are a multiple of it.
  Block mask;
  for (std::size_t i = 0; i < sizeof mask; ++i) mask[i] = key[(offset + i) % key.size()];
  auto advance = [&](std::size_t done) { from += done, to += done, count -= done; };
  constexpr std::size_t kBlocks = 4;
  while (count >= kBlocks * sizeof(Block)) {
    Block blocks[kBlocks];
    std::memcpy(blocks, from, sizeof blocks);
    for (Block& block : blocks) block ^= mask;
    std::memcpy(to, blocks, sizeof blocks);
    advance(sizeof blocks);
  }
  for (; count >= sizeof(Block); advance(sizeof(Block))) unmask_one<Block>(from, to, mask);
  if (count >= 8) unmask_one<std::uint64_t>(from, to, mask), advance(8);
  if (count >= 4) unmask_one<std::uint32_t>(from, to, mask), advance(4);
  for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<char>(from[i] ^ mask[i]);
}

}  // namespace fasterapi::websocket
