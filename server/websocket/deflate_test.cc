#include "server/websocket/deflate.h"

#include <algorithm>
#include <vector>

#include "server/websocket/zlib_peer.h"

namespace fasterapi::websocket {
namespace {

using namespace std::string_view_literals;
using base::Last;
using Inflated = MessageDeflate::Inflated;

constexpr std::size_t kLimit = 64 * 1024 * 1024;

// RFC 7692's examples were made at zlib's own level.
base::WebSocketSettings of_the_examples() {
  base::WebSocketSettings settings;
  settings.deflate_level = 6;
  return settings;
}

// Each message is inflated whole, and by a twin in pieces: both must say the same.
class Deflate : public testing::Test {
 protected:
  explicit Deflate(DeflateParameters agreed = {}) : parameters(agreed) {}

  std::string deflated(std::string_view sent) {
    std::string out = "before";
    EXPECT_TRUE(deflate.deflate(sent, out));
    EXPECT_TRUE(out.starts_with("before"));
    return out.substr(6);
  }

  Inflated inflate(std::string_view payload, std::size_t limit = kLimit) {
    message.clear();
    const Inflated result = deflate.inflate(payload, Last::kYes, message, limit);
    std::string in_pieces;
    Inflated twins = Inflated::kOk;
    for (std::size_t at = 0; at < payload.size() && twins == Inflated::kOk; at += piece) {
      twins = twin.inflate(payload.substr(at, piece), Last::kNo, in_pieces, limit);
      twin.rest();
    }
    if (twins == Inflated::kOk) twins = twin.inflate({}, Last::kYes, in_pieces, limit);
    EXPECT_EQ(result, twins);
    EXPECT_EQ(message, in_pieces);
    EXPECT_LE(message.size(), std::min(limit, kLimit) + 1);
    return result;
  }

  std::string inflated(std::string_view payload) {
    EXPECT_EQ(inflate(payload), Inflated::kOk);
    return message;
  }

  base::WebSocketSettings settings = of_the_examples();
  DeflateParameters parameters;
  DeflatePool pool;
  MessageDeflate deflate{pool, parameters, settings};
  MessageDeflate twin{pool, parameters, settings};
  std::size_t piece = 1;
  std::string message;
};

class WithoutTakeover : public Deflate {
 protected:
  WithoutTakeover() : Deflate({.server_no_context_takeover = true, .client_no_context_takeover = true}) {}
};

class SmallWindows : public Deflate {
 protected:
  SmallWindows() : Deflate({.server_max_window_bits = 9, .client_max_window_bits = 9}) {}
};

// --- RFC 7692 7.2.3, byte for byte ------------------------------------------------------------

constexpr std::string_view kHello = "\xf2\x48\xcd\xc9\xc9\x07\x00"sv;
constexpr std::string_view kHelloAgain = "\xf2\x00\x11\x00\x00"sv;

TEST_F(Deflate, Rfc7692_7_2_3_1_AMessageOfOneBlock) {
  EXPECT_EQ(inflated(kHello), "Hello");
  EXPECT_EQ(deflated("Hello"), kHello);
}

TEST_F(Deflate, Rfc7692_7_2_3_2_TheWindowIsShared) {
  EXPECT_EQ(inflated(kHello), "Hello");
  EXPECT_EQ(inflated(kHelloAgain), "Hello");
  EXPECT_EQ(deflated("Hello"), kHello);
  EXPECT_EQ(deflated("Hello"), kHelloAgain);
}

TEST_F(Deflate, Rfc7692_7_2_3_3_ABlockWithoutCompression) {
  EXPECT_EQ(inflated("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"sv), "Hello");
}

TEST_F(Deflate, Rfc7692_7_2_3_4_ABlockWithBfinal) {
  EXPECT_EQ(inflated("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"sv), "Hello");
  EXPECT_EQ(inflated(kHelloAgain), "Hello");  // it ends neither the message nor the window
}

TEST_F(Deflate, Rfc7692_7_2_3_5_TwoBlocksInOneMessage) {
  EXPECT_EQ(inflated("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"sv), "Hello");
}

TEST_F(Deflate, Rfc7692_7_2_3_6_AnEmptyMessage) {
  EXPECT_EQ(inflated("\x00"sv), "");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(deflated(""), "\x00"sv);
  EXPECT_EQ(deflated("Hello"), kHello);
  EXPECT_EQ(deflated(""), "\x00"sv);
  EXPECT_EQ(deflated("Hello"), kHelloAgain);
}

// --- With another zlib ------------------------------------------------------------------------

std::vector<std::string> messages() {
  std::vector<std::string> all = {"", "a", "Hello", "Hello", "", json_message(100, 1), noise(5000, 2)};
  for (unsigned i = 0; i < 20; ++i) all.push_back(json_message(1024, i));
  // Around a slice, and far beyond any window.
  for (std::size_t size : {16383u, 16384u, 16385u, 100'000u}) {
    all.push_back(json_message(size, 3));
    all.push_back(noise(size, 4));
    all.push_back(std::string(size, 'x'));
  }
  return all;
}

TEST_F(Deflate, AClientThatKeepsItsWindowIsRead) {
  ZlibPeer peer;
  piece = 7;
  for (const std::string& sent : messages()) ASSERT_EQ(inflated(peer.deflate(sent)), sent);
}

TEST_F(Deflate, AClientReadsWhatIsSent) {
  ZlibPeer peer;
  for (const std::string& sent : messages()) ASSERT_EQ(peer.inflate(deflated(sent)), sent);
}

TEST_F(Deflate, AClientMayForgetWhatItSent) {
  ZlibPeer peer;
  piece = 100;
  for (const std::string& sent : messages()) {
    ASSERT_EQ(inflated(peer.deflate(sent)), sent);
    peer.forget_sent();
  }
}

TEST_F(Deflate, AMessageMayHaveManyBlocksOfAllKinds) {
  ZlibPeer dynamic;
  ZlibPeer stored(15, 15, 0);
  std::string payload;
  std::string sent;
  for (unsigned i = 0; i < 30; ++i) {
    sent += json_message(200, i) + noise(100, i);
    payload += dynamic.compress(json_message(200, i), i % 3 == 0 ? Z_FULL_FLUSH : Z_SYNC_FLUSH);
    payload += stored.compress(noise(100, i), Z_SYNC_FLUSH);
    // Other senders' blocks have moved the window on.
    dynamic.forget_sent();
  }
  payload.resize(payload.size() - kEmptyBlock.size());
  EXPECT_EQ(inflated(payload), sent);
}

TEST_F(Deflate, FinalBlocksMayStandAnywhere) {
  ZlibPeer peer;
  std::string payload;
  std::string sent;
  for (unsigned i = 0; i < 30; ++i) {
    sent += json_message(200, i);
    payload += peer.compress(json_message(200, i), Z_FINISH);
    peer.forget_sent();
  }
  EXPECT_EQ(inflated(payload + '\0'), sent);
}

// A message of some hundred thousand final blocks is no more work than its bytes.
TEST_F(Deflate, FinalBlocksCostNoWindowEach) {
  inflated(ZlibPeer().deflate(noise(40'000, 1)));
  std::string payload;
  for (int i = 0; i < 200'000; ++i) payload += "\x03\x00"sv;
  piece = 1000;
  EXPECT_EQ(inflated(payload + '\0'), "");
}

TEST_F(SmallWindows, BothWays) {
  ZlibPeer peer(9, 9);
  piece = 64;
  for (const std::string& sent : messages()) {
    ASSERT_EQ(inflated(peer.deflate(sent)), sent);
    ASSERT_EQ(peer.inflate(deflated(sent)), sent);
  }
}

// With the smallest window that zlib can have a peer cannot read what reaches further back.
TEST_F(SmallWindows, AreObeyed) {
  const std::string block = noise(2000, 1);
  deflated(block);
  EXPECT_GT(deflated(block).size(), block.size());
}

TEST_F(WithoutTakeover, EachMessageStandsAlone) {
  EXPECT_EQ(deflated("Hello"), kHello);
  EXPECT_EQ(deflated("Hello"), kHello);
  EXPECT_EQ(inflated(kHello), "Hello");
  EXPECT_EQ(inflate(kHelloAgain), Inflated::kInvalid);
}

TEST_F(WithoutTakeover, AClientIsReadAndReads) {
  piece = 33;
  for (const std::string& sent : messages()) {
    ZlibPeer peer;
    ASSERT_EQ(inflated(peer.deflate(sent)), sent);
    ASSERT_EQ(peer.inflate(deflated(sent)), sent);
  }
}

// The pool's streams go from one connection to the next, of whatever form.
TEST_F(Deflate, NothingPassesFromOneConnectionToAnother) {
  for (int i = 0; i < 3; ++i) {
    for (int bits : {9, 12, 15}) {
      const bool takeover = i == 1;
      DeflateParameters agreed = {!takeover, !takeover, bits, bits};
      MessageDeflate other(pool, agreed, settings);
      std::string out;
      ASSERT_TRUE(other.deflate("Hello", out));
      EXPECT_EQ(out, kHello);
      std::string in;
      EXPECT_EQ(other.inflate(kHello, Last::kYes, in, kLimit), Inflated::kOk);
      MessageDeflate third(pool, agreed, settings);
      EXPECT_EQ(third.inflate(kHelloAgain, Last::kYes, in, kLimit), Inflated::kInvalid);
    }
  }
}

TEST_F(Deflate, AStreamIsNotLentWithAnotherWindow) {
  const std::string block = noise(2000, 1);
  std::string out;
  for (int bits : {15, 9}) {
    MessageDeflate connection(pool, {.server_max_window_bits = bits}, settings);
    ASSERT_TRUE(connection.deflate(block, out));
    out.clear();
    ASSERT_TRUE(connection.deflate(block, out));
    EXPECT_EQ(out.size() < block.size(), bits == 15);
  }
}

// --- rest() and forget_sent() -----------------------------------------------------------------

TEST_F(Deflate, WhatWasReceivedIsKeptOverARest) {
  ZlibPeer peer;
  for (const std::string& sent : messages()) {
    ASSERT_EQ(inflated(peer.deflate(sent)), sent);
    deflate.rest();
    twin.rest();
    twin.rest();
  }
}

TEST_F(Deflate, WhatWasSentIsForgottenInARest) {
  ZlibPeer peer;
  EXPECT_EQ(peer.inflate(deflated("Hello")), "Hello");
  deflate.rest();
  EXPECT_EQ(deflated("Hello"), kHello);
  for (const std::string& sent : messages()) {
    ASSERT_EQ(peer.inflate(deflated(sent)), sent);
    deflate.rest();
  }
}

TEST_F(SmallWindows, TheWindowIsKeptOverARestToItsLastByte) {
  ZlibPeer peer(9, 9);
  for (unsigned i = 0; i < 50; ++i) {
    const std::string sent = noise(150, i % 2);  // what is two messages back is still in reach, but hardly
    ASSERT_EQ(inflated(peer.deflate(sent)), sent);
    deflate.rest();
  }
}

TEST_F(Deflate, AfterForgetSentAMessageIsTheFirst) {
  ZlibPeer peer;
  EXPECT_EQ(peer.inflate(deflated("Hello")), "Hello");
  MessageDeflate other(pool, {.server_no_context_takeover = true}, settings);
  std::string shared;
  ASSERT_TRUE(other.deflate(json_message(5000, 1), shared));
  EXPECT_EQ(peer.inflate(shared), json_message(5000, 1));
  deflate.forget_sent();
  EXPECT_EQ(deflated("Hello"), kHello);
}

// --- What is refused --------------------------------------------------------------------------

TEST_F(Deflate, AMessageThatIsCutOffIsInvalid) {
  const std::string payload = ZlibPeer().deflate(json_message(3000, 1));
  for (std::size_t size = 0; size < payload.size(); ++size) {
    MessageDeflate fresh(pool, parameters, settings);
    std::string in;
    ASSERT_EQ(fresh.inflate(payload.substr(0, size), Last::kYes, in, kLimit), Inflated::kInvalid) << size;
  }
}

class Invalid : public Deflate, public testing::WithParamInterface<std::string_view> {};

TEST_P(Invalid, AsItIs) { EXPECT_EQ(inflate(GetParam()), Inflated::kInvalid); }

INSTANTIATE_TEST_SUITE_P(
    Payloads, Invalid,
    testing::Values(""sv,                                              // RFC 7692 7.2.3.6: it would be one 00
                    "\x07"sv,                                          // block type 3
                    "\x01\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00"sv,  // length and its complement differ
                    "\xf2\x00\x11\x00\x00"sv,                          // a distance before the first byte
                    "\xf3\x48\xcd\xc9\xc9\x07\x00"sv,                  // BFINAL, and no empty block behind it
                    "\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff"sv,  // its tail was not left away
                    "\x00\x00\x00\xff\xff\x00\x10"sv,                  // a block's length is all that came
                    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"sv, "\xff\xff\xff\xff\xff\xff\xff\xff"sv));

TEST_F(Deflate, ALimitIsReachedButNotPassed) {
  const std::string sent = json_message(50'000, 1);
  const std::string payload = ZlibPeer().deflate(sent);
  piece = 1000;
  EXPECT_EQ(inflate(payload, sent.size()), Inflated::kOk);
  deflate.rest();
  twin.rest();
  EXPECT_EQ(inflate(payload, sent.size() - 1), Inflated::kTooBig);
  EXPECT_EQ(message, sent);
}

TEST_F(Deflate, ALimitOfNothing) {
  EXPECT_EQ(inflate("\0"sv, 0), Inflated::kOk);
  EXPECT_EQ(inflate(kHello, 0), Inflated::kTooBig);
  EXPECT_EQ(message, "H");
}

TEST_F(Deflate, ALimitIsTheWholeMessages) {
  const std::string payload = ZlibPeer().deflate("Hello");
  std::string in = "1234567";
  EXPECT_EQ(deflate.inflate(payload, Last::kYes, in, 11), Inflated::kTooBig);
  EXPECT_EQ(in, "1234567Hello");
  EXPECT_EQ(deflate.inflate(payload, Last::kYes, in, 11), Inflated::kTooBig);
  EXPECT_EQ(in, "1234567Hello");
}

TEST_F(Deflate, NoLimitIsALimitToo) {
  EXPECT_EQ(inflate(ZlibPeer().deflate(json_message(50'000, 1)), base::kUnlimited), Inflated::kOk);
}

TEST_F(Deflate, AStreamThatCannotBeMadeIsNoMemory) {
  settings.deflate_memory_level = 10;
  MessageDeflate none(pool, {.client_max_window_bits = 16}, settings);
  std::string out = "before";
  EXPECT_FALSE(none.deflate("Hello", out));
  EXPECT_EQ(out, "before");
  EXPECT_EQ(none.inflate(kHello, Last::kYes, out, kLimit), Inflated::kNoMemory);
  none.rest();
}

}  // namespace
}  // namespace fasterapi::websocket
