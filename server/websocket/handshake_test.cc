#include "server/websocket/handshake.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace fasterapi::websocket {
namespace {

using namespace std::string_view_literals;
using Fields = std::vector<base::Header>;

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";

// RFC 6455 1.3's, less what a browser adds.
const Fields kGood = {{"host", "server.example.com"},
                      {"upgrade", "websocket"},
                      {"connection", "Upgrade"},
                      {"sec-websocket-key", kKey},
                      {"sec-websocket-version", "13"}};

class WebSocketHandshake : public testing::Test {
 protected:
  // The fields of a good handshake, less one, and others.
  void with(std::string_view without, const Fields& others = {}) {
    fields.clear();
    std::copy_if(kGood.begin(), kGood.end(), std::back_inserter(fields),
                 [&](const base::Header& field) { return field.name != without; });
    fields.insert(fields.end(), others.begin(), others.end());
    head.headers = fields;
  }
  // The status that the handshake is refused with, 0 for none.
  int refused() {
    auto read = read_handshake(head);
    return read ? 0 : read.failure().status;
  }
  int refused_with(std::string_view without, const Fields& others = {}) {
    with(without, others);
    return refused();
  }
  bool requested_with(std::string_view without, const Fields& others = {}) {
    with(without, others);
    return is_requested(head);
  }
  WebSocketHandshake() {
    head.method = "GET";
    head.target = head.path = "/chat";
    with("");
  }

  Fields fields;
  base::RequestHead head;
};

// 1.3
TEST_F(WebSocketHandshake, TheExampleOfTheRfc) {
  with("", {{"origin", "http://example.com"}, {"sec-websocket-protocol", "chat, superchat"}});
  EXPECT_TRUE(is_requested(head));
  auto read = read_handshake(head);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(read->subprotocols, (std::vector{"chat"sv, "superchat"sv}));
  EXPECT_EQ(read->origin, "http://example.com");
  EXPECT_TRUE(read->extensions.empty());
}

TEST_F(WebSocketHandshake, WhatIsNotThereIsEmpty) {
  auto read = read_handshake(head);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->subprotocols.empty());
  EXPECT_EQ(read->origin, "");
}

// 4.1, 4.2.1: any case of letters, lists, several lines.
TEST_F(WebSocketHandshake, IsAskedForByUpgradeAndConnection) {
  EXPECT_TRUE(requested_with("upgrade", {{"upgrade", "WebSocket"}}));
  EXPECT_TRUE(requested_with("connection", {{"connection", "keep-alive, uPGRADE"}}));
  EXPECT_TRUE(requested_with("connection", {{"connection", "keep-alive"}, {"connection", "upgrade"}}));
  EXPECT_TRUE(requested_with("upgrade", {{"upgrade", "other, websocket"}}));
  EXPECT_FALSE(requested_with("upgrade"));
  EXPECT_FALSE(requested_with("connection"));
  EXPECT_FALSE(requested_with("upgrade", {{"upgrade", "websockets"}}));
  EXPECT_FALSE(requested_with("upgrade", {{"upgrade", "h2c"}}));
  EXPECT_FALSE(requested_with("connection", {{"connection", "close"}}));
  EXPECT_FALSE(requested_with("connection", {{"connection", "upgrade-insecure-requests"}}));
  // Swapped.
  EXPECT_FALSE(requested_with("", {}) && requested_with("upgrade", {{"connection", "websocket"}}));
}

// 4.1: "HTTP version MUST be at least 1.1"
TEST_F(WebSocketHandshake, IsNotAskedForInHttp10) {
  head.version = {1, 0};
  EXPECT_FALSE(is_requested(head));
  head.version = {0, 9};
  EXPECT_FALSE(is_requested(head));
  head.version = {2, 0};
  EXPECT_TRUE(is_requested(head));
}

TEST_F(WebSocketHandshake, EveryMethodAsksButOnlyGetMay) {
  for (std::string_view method : {"POST", "HEAD", "get", "CONNECT", "OPTIONS"}) {
    head.method = method;
    EXPECT_TRUE(is_requested(head));
    EXPECT_EQ(refused(), 400) << method;
  }
}

// 4.4
TEST_F(WebSocketHandshake, AnotherVersionIsAnsweredWithOurs) {
  EXPECT_EQ(refused_with("sec-websocket-version"), 426);
  for (std::string_view version : {"8", "7", "0", "14", "13, 8", "013", "", "thirteen", "13;", "1 3"}) {
    EXPECT_EQ(refused_with("sec-websocket-version", {{"sec-websocket-version", version}}), 426) << version;
  }
  EXPECT_EQ(refused_with("", {{"sec-websocket-version", "8"}}), 426);
  EXPECT_EQ(refused_with("", {{"sec-websocket-version", "13"}}), 400);
  // A version of old had another key.
  EXPECT_EQ(refused_with("sec-websocket-key", {{"sec-websocket-version", "8"}}), 426);
}

TEST_F(WebSocketHandshake, TheKeyIsSixteenBytes) {
  EXPECT_EQ(refused_with("sec-websocket-key"), 400);
  for (std::string_view key :
       {""sv, "dGhlIHNhbXBsZSBub25jZQ"sv, "dGhlIHNhbXBsZSBub25jZQ="sv, "dGhlIHNhbXBsZSBub25jZQ==="sv,
        "dGhlIHNhbXBsZSBub25jZ==="sv, "dGhlIHNhbXBsZSBub25jZQA="sv, "dGhlIHNhbXBsZSBub25jZQAA"sv,
        "dGhlIHNhbXBsZSBub25jZQ=A"sv, "dGhlIHNhbXBsZSBub25j Q=="sv, "dGhlIHNhbXBsZSBub25j-Q=="sv,
        "dGhlIHNhbXBsZSBub25j_Q=="sv, "=GhlIHNhbXBsZSBub25jZQ=="sv, "dGhlIHNhbXBsZSBub25jZR=="sv,
        "dGhlIHNhbXBsZSBub25jZf=="sv, "dGhlIHNhbXBsZQ=="sv, "\xff\xffhlIHNhbXBsZSBub25jZQ=="sv}) {
    EXPECT_EQ(refused_with("sec-websocket-key", {{"sec-websocket-key", key}}), 400) << key;
  }
  for (std::string_view key : {"AAAAAAAAAAAAAAAAAAAAAA==", "/////////////////////w==",
                               "+/+/+/+/+/+/+/+/+/+/+g==", "0123456789abcdefghijkQ=="}) {
    EXPECT_EQ(refused_with("sec-websocket-key", {{"sec-websocket-key", key}}), 0) << key;
  }
  // 11.3.1: once.
  EXPECT_EQ(refused_with("", {{"sec-websocket-key", kKey}}), 400);
}

TEST_F(WebSocketHandshake, ABodyIsRefused) {
  head.content_length = 0;
  EXPECT_EQ(refused(), 0);
  head.has_body = true;
  EXPECT_EQ(refused(), 400);
}

TEST_F(WebSocketHandshake, OneHostAndAtMostOneOrigin) {
  EXPECT_EQ(refused_with("host"), 400);
  EXPECT_EQ(refused_with("", {{"host", "b"}}), 400);
  EXPECT_EQ(refused_with("", {{"origin", "https://a"}, {"origin", "https://b"}}), 400);
}

// 4.1, 11.3.4: several lines are one list.
TEST_F(WebSocketHandshake, SubprotocolsAreTokensInTheClientsOrder) {
  with("", {{"sec-websocket-protocol", "b ,,\ta"},
            {"sec-websocket-protocol", ""},
            {"sec-websocket-protocol", "b,C.d"}});
  auto read = read_handshake(head);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->subprotocols, (std::vector{"b"sv, "a"sv, "b"sv, "C.d"sv}));
  for (std::string_view list : {"a b", "a, b/c", "a; q=1", "\"a\"", "caf\xc3\xa9", "a, (b)"}) {
    EXPECT_EQ(refused_with("", {{"sec-websocket-protocol", list}}), 400) << list;
  }
}

TEST_F(WebSocketHandshake, ExtensionsAreHandedOnAsTheyCame) {
  with("",
       {{"sec-websocket-extensions", "a; b=\"c,d\", e"}, {"sec-websocket-extensions", "permessage-deflate"}});
  auto read = read_handshake(head);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->extensions, (std::vector{"a; b=\"c,d\", e"sv, "permessage-deflate"sv}));
}

}  // namespace
}  // namespace fasterapi::websocket
