#include "server/websocket/deflate.h"

#include <algorithm>
#include <vector>

#include "server/websocket/zlib_peer.h"

namespace fasterapi::websocket {
namespace {

using namespace std::string_view_literals;
using base::Last;
using Inflated = MessageDeflate::Inflated;
using Deflated = Compressor::Result;

constexpr std::size_t kLimit = 64 * 1024 * 1024;

// Each message is inflated whole, and by a twin in pieces: both must say the same.
class Deflate : public testing::Test {
 protected:
  explicit Deflate(DeflateParameters agreed = {}) : parameters(agreed) {}

  std::string deflated(std::string_view sent) {
    std::string out = "before";
    const auto result = deflate.deflate(sent, out);
    EXPECT_TRUE(out.starts_with("before"));
    // What would be no shorter is sent as it is.
    EXPECT_EQ(result == Deflated::kOk, out.size() > 6);
    return out.substr(6);
  }

  Inflated inflate(std::string_view payload, std::size_t limit = kLimit) {
    message.clear();
    const Inflated result = deflate.inflate(payload, Last::kYes, message, limit);
    std::string in_pieces;
    Inflated twins = Inflated::kOk;
    for (std::size_t at = 0; at < payload.size() && twins == Inflated::kOk; at += piece) {
      twins = twin.inflate(payload.substr(at, piece), Last::kNo, in_pieces, limit);
    }
    if (twins == Inflated::kOk) twins = twin.inflate({}, Last::kYes, in_pieces, limit);
    EXPECT_EQ(result, twins);
    EXPECT_EQ(message, in_pieces);
    EXPECT_LE(message.size(), std::min(limit, kLimit) + 1);
    return result;
  }

  // What the peer gets, deflated or as it is.
  void expect_read(ZlibPeer& peer, const std::string& sent) {
    const std::string payload = deflated(sent);
    if (!payload.empty()) {
      ASSERT_EQ(peer.inflate(payload), sent);
    }
  }

  std::string inflated(std::string_view payload) {
    EXPECT_EQ(inflate(payload), Inflated::kOk);
    return message;
  }

  base::WebSocketSettings settings;
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

TEST_F(Deflate, Rfc7692_7_2_3_1_AMessageOfOneBlock) { EXPECT_EQ(inflated(kHello), "Hello"); }

TEST_F(Deflate, Rfc7692_7_2_3_2_TheWindowIsShared) {
  EXPECT_EQ(inflated(kHello), "Hello");
  EXPECT_EQ(inflated(kHelloAgain), "Hello");
  EXPECT_EQ(deflated("Hello"), "");
  const std::string first = deflated(json_message(300, 1));
  EXPECT_LT(deflated(json_message(300, 1)).size(), first.size() / 4);
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
  ZlibPeer peer;
  EXPECT_EQ(peer.inflate(deflated(json_message(300, 1))), json_message(300, 1));
  EXPECT_EQ(peer.inflate(deflated("")), "");
  EXPECT_EQ(peer.inflate(deflated(json_message(300, 1))), json_message(300, 1));
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
  for (const std::string& sent : messages()) expect_read(peer, sent);
}

class Levels : public Deflate, public testing::WithParamInterface<int> {};

TEST_P(Levels, AClientReadsThemAll) {
  settings.deflate_level = GetParam();
  for (int bits = 9; bits <= 15; ++bits) {
    MessageDeflate sender(pool, {.server_max_window_bits = bits}, settings);
    ZlibPeer peer(15, bits);
    for (const std::string& sent : messages()) {
      std::string out;
      if (sender.deflate(sent, out) == Deflated::kOk) {
        ASSERT_EQ(peer.inflate(out), sent);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Compressor, Levels,
                         testing::Range(Compressor::kMinLevel, Compressor::kMaxLevel + 1));

TEST_F(Deflate, WhatWouldBeNoShorterIsLeftAlone) {
  ZlibPeer peer;
  EXPECT_EQ(deflated("a"), "");
  EXPECT_EQ(deflated(noise(100'000, 1)), "");
  expect_read(peer, json_message(500, 1));
  EXPECT_EQ(deflated(noise(700, 1)), "");
  expect_read(peer, json_message(500, 1));
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
    expect_read(peer, sent);
  }
}

// With the smallest window that zlib can have a peer cannot read what reaches further back.
TEST_F(SmallWindows, AreObeyed) {
  const std::string block = noise(2000, 1);
  EXPECT_EQ(deflated(block + block), "");
  EXPECT_LT(deflated(block.substr(0, 300) + block.substr(0, 300)).size(), 500u);
}

TEST_F(WithoutTakeover, EachMessageStandsAlone) {
  const std::string first = deflated(json_message(300, 1));
  EXPECT_EQ(deflated(json_message(300, 1)), first);
  EXPECT_EQ(inflated(kHello), "Hello");
  EXPECT_EQ(inflate(kHelloAgain), Inflated::kInvalid);
}

TEST_F(WithoutTakeover, AClientIsReadAndReads) {
  piece = 33;
  for (const std::string& sent : messages()) {
    ZlibPeer peer;
    ASSERT_EQ(inflated(peer.deflate(sent)), sent);
    expect_read(peer, sent);
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
      ASSERT_EQ(other.deflate(json_message(300, 1), out), Deflated::kOk);
      EXPECT_EQ(ZlibPeer(15, bits).inflate(out), json_message(300, 1));
      std::string in;
      EXPECT_EQ(other.inflate(kHello, Last::kYes, in, kLimit), Inflated::kOk);
      MessageDeflate third(pool, agreed, settings);
      EXPECT_EQ(third.inflate(kHelloAgain, Last::kYes, in, kLimit), Inflated::kInvalid);
    }
  }
}

TEST_F(Deflate, TheWindowIsEachConnectionsOwn) {
  settings.deflate_memory_level = 9;
  const std::string block = noise(2000, 1);
  for (int bits : {15, 9, 15}) {
    MessageDeflate connection(pool, {.server_max_window_bits = bits}, settings);
    std::string out;
    connection.deflate(block + json_message(2000, 1), out);
    out.clear();
    EXPECT_EQ(connection.deflate(block, out) == Deflated::kOk, bits == 15);
  }
}

TEST_F(Deflate, AsMuchAsTheMemoryLevelSaysIsReferredTo) {
  for (int level : {1, 5, 9}) {
    settings.deflate_memory_level = level;
    MessageDeflate connection(pool, {.server_max_window_bits = 15}, settings);
    const std::size_t kept = std::size_t{32} << level;
    const std::string block = noise(kept, 1);
    std::string out;
    for (int i = 0; i < 2; ++i) {
      // Parts that are too short to be shorter when they are deflated are no part of the window.
      out.clear();
      ASSERT_EQ(connection.deflate(block + std::string(4000, 'x') + block, out), Deflated::kOk) << level;
    }
    out.clear();
    ASSERT_EQ(connection.deflate(block, out), Deflated::kOk) << level;
    EXPECT_LT(out.size(), kept / 2 + 16) << level;
  }
}

TEST_F(SmallWindows, TheWindowIsKeptToItsLastByte) {
  ZlibPeer peer(9, 9);
  for (unsigned i = 0; i < 50; ++i) {
    const std::string sent = noise(150, i % 2);  // what is two messages back is still in reach, but hardly
    ASSERT_EQ(inflated(peer.deflate(sent)), sent);
  }
}

TEST_F(Deflate, AfterForgetSentAMessageIsTheFirst) {
  ZlibPeer peer;
  const std::string first = deflated(json_message(300, 1));
  EXPECT_EQ(peer.inflate(first), json_message(300, 1));
  MessageDeflate other(pool, {.server_no_context_takeover = true}, settings);
  std::string shared;
  ASSERT_EQ(other.deflate(json_message(5000, 1), shared), Deflated::kOk);
  EXPECT_EQ(peer.inflate(shared), json_message(5000, 1));
  deflate.forget_sent();
  EXPECT_EQ(deflated(json_message(300, 1)), first);
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
  MessageDeflate none(pool, {.client_max_window_bits = 16}, settings);
  std::string out;
  EXPECT_EQ(none.inflate(kHello, Last::kYes, out, kLimit), Inflated::kNoMemory);
}

}  // namespace
}  // namespace fasterapi::websocket
