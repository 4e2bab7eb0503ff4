#include "server/base/output.h"

#include <utility>

namespace fasterapi::base {

namespace {
// One small response (head and body) fits; larger ones grow as strings do.
constexpr std::size_t kFirstRun = 512;
// A run that is long is not appended to any more: a queue that is never quite empty would keep
// what was sent long ago in front of what is not.
constexpr std::size_t kFullRun = 32 * 1024;
// A copy of more would take longer than the turn in which it is made can spare.
constexpr std::size_t kLargestCopy = 32 * 1024;
// Vectors kept across responses; a queue that once was long gives its memory back.
constexpr std::size_t kKeptSegments = 4;
}  // namespace

std::string& Output::tail() {
  if (segments_.empty() || segments_.back().is_slice || segments_.back().copied.size() >= kFullRun) {
    segments_.emplace_back();
    segments_.back().copied.reserve(kFirstRun);
  }
  return segments_.back().copied;
}

void Output::append(std::string_view bytes) {
  if (bytes.empty()) return;
  tail().append(bytes);
  size_ += bytes.size();
}

void Output::append(Slice slice) {
  if (slice.bytes().empty()) return;
  size_ += slice.bytes().size();
  Segment segment;
  segment.kept = std::move(slice);
  segment.is_slice = true;
  segments_.push_back(std::move(segment));
}

std::size_t Output::gather(std::span<iovec> vectors) const {
  std::size_t filled = 0;
  std::size_t skip = offset_;
  for (std::size_t i = first_; i < segments_.size() && filled < vectors.size(); ++i) {
    std::string_view bytes = segments_[i].bytes().substr(skip);
    skip = 0;
    if (bytes.empty()) continue;
    vectors[filled++] = {const_cast<char*>(bytes.data()), bytes.size()};
  }
  return filled;
}

void Output::consume(std::size_t count) {
  size_ -= count;
  if (size_ == 0) {
    clear();
    return;
  }
  while (count > 0) {
    std::size_t left = segments_[first_].bytes().size() - offset_;
    if (count < left) {
      offset_ += count;
      break;
    }
    count -= left;
    Segment sent(std::move(segments_[first_]));  // assigning an empty one would keep its memory
    ++first_;
    offset_ = 0;
  }
  // A reader that never quite catches up must not make the list of dead segments grow.
  if (first_ >= 64 && first_ * 2 >= segments_.size()) {
    segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void Output::clear() {
  if (segments_.capacity() > kKeptSegments) {
    segments_ = std::vector<Segment>();
  } else {
    segments_.clear();
  }
  first_ = offset_ = size_ = 0;
}

void Output::shrink() {
  if (empty() || !segments_[first_].is_slice) return;
  std::string_view rest = segments_[first_].bytes().substr(offset_);
  if (rest.size() > kLargestCopy || rest.size() > offset_) return;
  Segment copy;
  copy.copied = rest;
  Segment sent(std::exchange(segments_[first_], std::move(copy)));  // released when all is consistent
  offset_ = 0;
}

std::string Output::to_string() const {
  std::string all;
  std::size_t skip = offset_;
  for (std::size_t i = first_; i < segments_.size(); ++i) {
    all.append(segments_[i].bytes().substr(skip));
    skip = 0;
  }
  return all;
}

}  // namespace fasterapi::base
