// What one published message is for receivers of each kind.
#include "server/connection/topics.h"

#include <gtest/gtest.h>

#include <string>

#include "server/websocket/deflate.h"

namespace fasterapi::connection {
namespace {

TEST(SharedMessage, IsMadeOnceForEachSizeOfWindow) {
  websocket::DeflatePool pool;
  base::WebSocketSettings settings;
  settings.deflate_threshold = 1;
  // Whatever is made later shows what the payload is then.
  std::string payload = "nothing of this is there twice";
  SharedMessage message(pool, settings, websocket::MessageKind::kText, payload);
  const std::string plain(message.frames(12).bytes());
  EXPECT_EQ(plain, websocket::encode_message(websocket::MessageKind::kText, payload).bytes());
  payload.assign(payload.size(), 'x');
  EXPECT_EQ(message.frames(12).bytes(), plain);
  EXPECT_EQ(message.frames(0).bytes(), plain);
  const std::string deflated(message.frames(15).bytes());
  EXPECT_LT(deflated.size(), plain.size());
  payload = "nothing of this is there twice";
  EXPECT_EQ(message.frames(15).bytes(), deflated);
}

}  // namespace
}  // namespace fasterapi::connection
