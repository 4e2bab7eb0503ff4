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
  // The key as it lies over the payload from `offset` on, once for each word of a block.
  const std::uint8_t twice[] = {key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]};
  std::uint32_t word;
  std::memcpy(&word, twice + offset % key.size(), sizeof word);
  const std::uint32_t words[] = {word, word, word, word};
  Block mask;
  std::memcpy(&mask, words, sizeof mask);
  std::size_t at = 0;
  Block blocks[4];
  for (; count - at >= sizeof blocks; at += sizeof blocks) {
    std::memcpy(blocks, from + at, sizeof blocks);
    for (Block& block : blocks) block ^= mask;
    std::memcpy(to + at, blocks, sizeof blocks);
  }
  for (; count - at >= sizeof(Block); at += sizeof(Block)) unmask_one<Block>(from + at, to + at, mask);
  // Less than a block is left, each step a multiple of the key's size.
  for (; count - at >= sizeof(std::uint32_t); at += sizeof(std::uint32_t)) {
    unmask_one<std::uint32_t>(from + at, to + at, mask);
  }
  for (std::size_t i = 0; at < count; ++at, ++i) to[at] = static_cast<char>(from[at] ^ mask[i]);
}

}  // namespace fasterapi::websocket
