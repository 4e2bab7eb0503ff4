#include "server/websocket/deflate_offer.h"

#include <gtest/gtest.h>

#include <vector>

namespace fasterapi::websocket {
namespace {

using base::WebSocketSettings;

// A server with no wishes of its own, so that a response shows what the offer asked for.
WebSocketSettings plain() {
  WebSocketSettings settings;
  settings.server_max_window_bits = 15;
  settings.client_max_window_bits = 15;
  return settings;
}

std::string answer(const std::vector<std::string_view>& offers, const WebSocketSettings& settings = plain()) {
  std::optional<Agreement> agreement = agree_on_deflate(offers, settings);
  return agreement ? agreement->response : "declined";
}

DeflateParameters agreed(std::string_view offer, const WebSocketSettings& settings = plain()) {
  std::optional<Agreement> agreement = agree_on_deflate(std::span(&offer, 1), settings);
  EXPECT_TRUE(agreement) << offer;
  return agreement ? agreement->parameters : DeflateParameters();
}

TEST(DeflateOffer, WithoutParametersNothingIsNamed) {
  EXPECT_EQ(answer({"permessage-deflate"}), "permessage-deflate");
  EXPECT_EQ(agreed("permessage-deflate"), DeflateParameters());
}

TEST(DeflateOffer, NothingIsAgreedWithoutAnOffer) {
  EXPECT_EQ(answer({}), "declined");
  EXPECT_EQ(answer({""}), "declined");
  EXPECT_EQ(answer({" , ,"}), "declined");
  EXPECT_EQ(answer({"x-webkit-deflate-frame, permessage-bzip2; level=9"}), "declined");
}

TEST(DeflateOffer, NothingIsAgreedWhereDeflateIsOff) {
  WebSocketSettings settings = plain();
  settings.deflate = false;
  EXPECT_EQ(answer({"permessage-deflate"}, settings), "declined");
}

// RFC 7692 7.1.1.1, 7.1.1.2
TEST(DeflateOffer, ContextTakeoverIsGivenUpAsOffered) {
  EXPECT_EQ(answer({"permessage-deflate; server_no_context_takeover"}),
            "permessage-deflate; server_no_context_takeover");
  EXPECT_EQ(answer({"permessage-deflate; client_no_context_takeover"}),
            "permessage-deflate; client_no_context_takeover");
  DeflateParameters both =
      agreed("permessage-deflate; client_no_context_takeover; server_no_context_takeover");
  EXPECT_TRUE(both.server_no_context_takeover && both.client_no_context_takeover);
}

TEST(DeflateOffer, ContextTakeoverIsGivenUpAsTheSettingsSay) {
  WebSocketSettings settings = plain();
  settings.server_no_context_takeover = true;
  EXPECT_EQ(answer({"permessage-deflate"}, settings), "permessage-deflate; server_no_context_takeover");
  settings.client_no_context_takeover = true;
  EXPECT_EQ(answer({"permessage-deflate"}, settings),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  EXPECT_TRUE(agreed("permessage-deflate", settings).client_no_context_takeover);
}

// RFC 7692 7.1.2.1
TEST(DeflateOffer, TheServersWindowIsTheSmallerOne) {
  EXPECT_EQ(answer({"permessage-deflate; server_max_window_bits=10"}),
            "permessage-deflate; server_max_window_bits=10");
  EXPECT_EQ(answer({"permessage-deflate; server_max_window_bits=15"}),
            "permessage-deflate; server_max_window_bits=15");
  WebSocketSettings settings = plain();
  settings.server_max_window_bits = 12;
  EXPECT_EQ(agreed("permessage-deflate; server_max_window_bits=15", settings).server_max_window_bits, 12);
  EXPECT_EQ(agreed("permessage-deflate; server_max_window_bits=9", settings).server_max_window_bits, 9);
  EXPECT_EQ(answer({"permessage-deflate"}, settings), "permessage-deflate; server_max_window_bits=12");
}

TEST(DeflateOffer, AServersWindowThatZlibDoesNotHaveIsDeclined) {
  EXPECT_EQ(answer({"permessage-deflate; server_max_window_bits=8"}), "declined");
  EXPECT_EQ(answer({"permessage-deflate; server_max_window_bits=8, permessage-deflate"}),
            "permessage-deflate");
}

// RFC 7692 7.1.2.2: "the response MUST NOT include it" where the offer has none.
TEST(DeflateOffer, TheClientsWindowIsNamedOnlyToAClientThatKnowsTheParameter) {
  WebSocketSettings settings = plain();
  settings.client_max_window_bits = 12;
  EXPECT_EQ(answer({"permessage-deflate"}, settings), "permessage-deflate");
  EXPECT_EQ(agreed("permessage-deflate", settings).client_max_window_bits, 15);
  EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits"}, settings),
            "permessage-deflate; client_max_window_bits=12");
  EXPECT_EQ(agreed("permessage-deflate; client_max_window_bits", settings).client_max_window_bits, 12);
}

TEST(DeflateOffer, TheClientsWindowIsTheSmallerOne) {
  WebSocketSettings settings = plain();
  settings.client_max_window_bits = 12;
  EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits=15"}, settings),
            "permessage-deflate; client_max_window_bits=12");
  EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits=8"}, settings),
            "permessage-deflate; client_max_window_bits=8");
  EXPECT_EQ(agreed("permessage-deflate; client_max_window_bits=8", settings).client_max_window_bits, 8);
  EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits"}), "permessage-deflate");
}

// What Chromium and Firefox send.
TEST(DeflateOffer, ABrowsersOfferWithTheDefaults) {
  EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits"}, WebSocketSettings()),
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12");
  EXPECT_EQ(answer({"permessage-deflate"}, WebSocketSettings()),
            "permessage-deflate; server_max_window_bits=12");
}

// RFC 7692 7.1.3, the second example; and offers on several lines are one list.
TEST(DeflateOffer, TheFirstThatCanBeAcceptedIs) {
  EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits; server_max_window_bits=10, "
                    "permessage-deflate; client_max_window_bits"}),
            "permessage-deflate; server_max_window_bits=10");
  EXPECT_EQ(answer({"permessage-deflate; unknown, foo; bar=1",
                    "permessage-deflate; server_max_window_bits=11", "permessage-deflate"}),
            "permessage-deflate; server_max_window_bits=11");
}

class Declined : public testing::TestWithParam<std::string_view> {};

TEST_P(Declined, AndTheNextOneIsLookedAt) {
  std::string offer = "permessage-deflate; " + std::string(GetParam());
  EXPECT_EQ(answer({offer}), "declined");
  EXPECT_EQ(answer({offer, "permessage-deflate"}), "permessage-deflate");
}

INSTANTIATE_TEST_SUITE_P(
    Parameters, Declined,
    testing::Values("unknown", "unknown=1", "Server_no_context_takeover", "server_no_context_takeover=1",
                    "server_no_context_takeover=true", "client_no_context_takeover=\"\\1\"",
                    "server_no_context_takeover; server_no_context_takeover",
                    "client_no_context_takeover; client_no_context_takeover", "server_max_window_bits",
                    "server_max_window_bits=7", "server_max_window_bits=16", "server_max_window_bits=08",
                    "server_max_window_bits=010", "server_max_window_bits=+9", "server_max_window_bits=1",
                    "server_max_window_bits=ten", "server_max_window_bits=4294967306",
                    "server_max_window_bits=10; server_max_window_bits=10", "client_max_window_bits=0",
                    "client_max_window_bits=16", "client_max_window_bits=012", "client_max_window_bits=1o",
                    "client_max_window_bits; client_max_window_bits=10",
                    "client_max_window_bits=10; client_max_window_bits"));

TEST(DeflateOffer, QuotedValuesAndWhiteSpace) {
  EXPECT_EQ(answer({"permessage-deflate; server_max_window_bits=\"10\""}),
            "permessage-deflate; server_max_window_bits=10");
  EXPECT_EQ(answer({"permessage-deflate; server_max_window_bits=\"\\1\\0\""}),
            "permessage-deflate; server_max_window_bits=10");
  EXPECT_EQ(answer({"\t,foo;a=\"b\\\"\" ,, permessage-deflate\t;server_max_window_bits = 10 , "}),
            "declined");
  EXPECT_EQ(answer({"\t,foo;a=\"b\" ,, permessage-deflate\t;server_max_window_bits = 10 , "}),
            "permessage-deflate; server_max_window_bits=10");
}

class Malformed : public testing::TestWithParam<std::string_view> {};

// RFC 6455 9.1: nothing is believed of a header that breaks the syntax, wherever it does so.
TEST_P(Malformed, EverythingIsDeclined) {
  EXPECT_EQ(answer({GetParam()}), "declined");
  EXPECT_EQ(answer({"permessage-deflate", GetParam()}), "declined");
  EXPECT_EQ(answer({GetParam(), "permessage-deflate"}), "declined");
}

INSTANTIATE_TEST_SUITE_P(Lines, Malformed,
                         testing::Values(";", "=", "permessage-deflate;", "permessage-deflate; ;",
                                         "permessage-deflate; =10", "permessage-deflate; a=",
                                         "permessage-deflate; a=, b", "permessage-deflate; a=\"",
                                         "permessage-deflate; a=\"1", "permessage-deflate; a=\"1\\",
                                         "permessage-deflate; a=\"1\\\"", "permessage-deflate; a=\"\"",
                                         "permessage-deflate; a=\"1 2\"", "permessage-deflate; a=\"1\"2",
                                         "permessage-deflate; a=1=2", "permessage-deflate foo",
                                         "permessage-deflate; a b", "permessage deflate", "foo/bar", "\x80",
                                         "foo; b\xc3\xa4r", std::string_view("fo\0o", 4)));

TEST(DeflateOffer, ALineOfAnySizeIsReadOnce) {
  std::string parameters = "permessage-deflate";
  for (int i = 0; i < 100'000; ++i) parameters += "; client_max_window_bits=10";
  std::string offers;
  for (int i = 0; i < 100'000; ++i) offers += "permessage-deflate; a,";
  std::string quoted = "permessage-deflate; a=\"" + std::string(1'000'000, '1') + "\"";
  EXPECT_EQ(answer({parameters, offers, quoted, "permessage-deflate"}), "permessage-deflate");
}

}  // namespace
}  // namespace fasterapi::websocket
