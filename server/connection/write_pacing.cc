#include "server/connection/write_pacing.h"

#include <algorithm>

namespace fasterapi::connection {

void WritePacing::wrote(std::size_t size, base::Output& output, net::Stream& stream) {
  if (turn_ != loop_.turn()) {
    turn_ = loop_.turn();
    written_this_turn_ = 0;
  }
  written_this_turn_ += std::max(size, settings_.min_counted_piece);
  bool enough = written_this_turn_ >= settings_.max_written_per_turn;
  if (!enough && output.size() + stream.queued() < settings_.write_high_water) return;
  stream.flush(output);
  if (enough) loop_.at_next_turn(proceed_);
  waiting_ = enough || stream.broken() || stream.queued() > 0;
}

}  // namespace fasterapi::connection
