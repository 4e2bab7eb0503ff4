#include "server/connection/forwarded.h"

#include <gtest/gtest.h>

namespace fasterapi::connection {
namespace {

using Family = net::Address::Family;

const TrustedProxies kProxies({"127.0.0.1", "10.0.0.0/8", "2001:db8::/32"});

std::string client(std::vector<std::string_view> lines, const TrustedProxies& proxies = kProxies) {
  std::vector<base::Header> headers = {{"host", "a"}};
  for (std::string_view line : lines) headers.push_back({"x-forwarded-for", line});
  std::unique_ptr<Forwarded> forwarded = proxies.read(headers);
  if (forwarded == nullptr || forwarded->client.family == Family::kNone) return "";
  EXPECT_EQ(forwarded->protection, Protection::kUnknown);
  return forwarded->client.host + " " + std::to_string(forwarded->client.port);
}

Protection protection(std::vector<std::string_view> lines) {
  std::vector<base::Header> headers;
  for (std::string_view line : lines) headers.push_back({"x-forwarded-proto", line});
  std::unique_ptr<Forwarded> forwarded = kProxies.read(headers);
  return forwarded == nullptr ? Protection::kUnknown : forwarded->protection;
}

TEST(ForwardedTest, PeersOfTheNetworksAreTrusted) {
  EXPECT_TRUE(kProxies.trusts({Family::kInet, "127.0.0.1", 1}));
  EXPECT_TRUE(kProxies.trusts({Family::kInet, "10.1.2.3", 1}));
  EXPECT_TRUE(kProxies.trusts({Family::kInet, "2001:db8::1", 1}));
  EXPECT_TRUE(kProxies.trusts({Family::kInet, "::ffff:127.0.0.1", 1}));  // on a dual-stack socket
  EXPECT_FALSE(kProxies.trusts({Family::kInet, "127.0.0.2", 1}));
  EXPECT_FALSE(kProxies.trusts({Family::kInet, "2001:db9::1", 1}));
}

TEST(ForwardedTest, UnixPeersAreTrustedByEverybodyAlone) {
  for (const net::Address& peer : {net::Address{}, net::Address{Family::kUnix, "127.0.0.1", 0}}) {
    EXPECT_FALSE(kProxies.trusts(peer));
    EXPECT_FALSE(TrustedProxies({}).trusts(peer));
    EXPECT_FALSE(TrustedProxies({"/run/proxy.sock"}).trusts(peer));
    EXPECT_TRUE(TrustedProxies({"*"}).trusts(peer));
  }
}

TEST(ForwardedTest, TheLastHopThatIsNoProxyIsTheClient) {
  EXPECT_EQ(client({"203.0.113.7"}), "203.0.113.7 0");
  EXPECT_EQ(client({"203.0.113.7, 10.0.0.1"}), "203.0.113.7 0");
  EXPECT_EQ(client({"1.1.1.1, 203.0.113.7, 10.0.0.1,127.0.0.1"}), "203.0.113.7 0");
  EXPECT_EQ(client({"1.1.1.1, 203.0.113.7"}), "203.0.113.7 0");
  EXPECT_EQ(client({"2001:db9::1, 2001:db8::2"}), "2001:db9::1 0");
  EXPECT_EQ(client({"203.0.113.7, ::ffff:10.0.0.1"}), "203.0.113.7 0");
  EXPECT_EQ(client({"10.0.0.1, 10.0.0.2"}), "10.0.0.1 0");  // all are ours: the first
}

TEST(ForwardedTest, LinesAreOneList) {
  EXPECT_EQ(client({"1.1.1.1", "203.0.113.7"}), "203.0.113.7 0");
  EXPECT_EQ(client({"1.1.1.1, 203.0.113.7", "10.0.0.1", "10.0.0.2, 10.0.0.3"}), "203.0.113.7 0");
  EXPECT_EQ(client({"10.0.0.3", "10.0.0.2"}), "10.0.0.3 0");
}

TEST(ForwardedTest, EmptyElementsAreIgnored) {
  EXPECT_EQ(client({",203.0.113.7, ,\t10.0.0.1 ,"}), "203.0.113.7 0");
  EXPECT_EQ(client({"203.0.113.7", "", " , "}), "203.0.113.7 0");
  EXPECT_EQ(client({"", ","}), "");
}

TEST(ForwardedTest, Ports) {
  EXPECT_EQ(client({"203.0.113.7:4711"}), "203.0.113.7 4711");
  EXPECT_EQ(client({"203.0.113.7:0"}), "203.0.113.7 0");
  EXPECT_EQ(client({"203.0.113.7:65535, 10.0.0.1:80"}), "203.0.113.7 65535");
  EXPECT_EQ(client({"[2001:db9::1]:4711"}), "2001:db9::1 4711");
  EXPECT_EQ(client({"[2001:db9::1]"}), "2001:db9::1 0");
  EXPECT_EQ(client({"203.0.113.7, [2001:db8::1]:80"}), "203.0.113.7 0");
}

TEST(ForwardedTest, GarbageThatIsReachedLeavesNothingToBelieve) {
  for (std::string_view garbage : {"unknown",
                                   "_hidden",
                                   "example.org",
                                   "/run/x.sock",
                                   "*",
                                   "203.0.113.7:",
                                   "203.0.113.7:65536",
                                   "203.0.113.7:+1",
                                   "203.0.113.7:x",
                                   "203.0.113",
                                   "203.0.113.007",
                                   "203.0.113.7 8",
                                   "[203.0.113.7]",
                                   "[2001:db9::1",
                                   "2001:db9::1]",
                                   "[2001:db9::1]80",
                                   "[2001:db9::1]:",
                                   "[2001:db9::1]:x",
                                   "[]",
                                   "[",
                                   ":",
                                   ":80",
                                   "fe80::1%eth0",
                                   "\"203.0.113.7\"",
                                   "203.0.113.7;10.0.0.1"}) {
    EXPECT_EQ(client({garbage}), "") << garbage;
    EXPECT_EQ(client({std::string(garbage) + ", 10.0.0.1"}), "") << garbage;
    EXPECT_EQ(client({"1.1.1.1", garbage, "10.0.0.1"}), "") << garbage;
    EXPECT_EQ(client({garbage, std::string(garbage) + ", 203.0.113.7, 10.0.0.1"}), "203.0.113.7 0")
        << garbage;
  }
}

TEST(ForwardedTest, WhereEverybodyIsTrustedTheFirstHopIsTheClient) {
  const TrustedProxies everybody({"*"});
  EXPECT_EQ(client({"203.0.113.7, 198.51.100.1"}, everybody), "203.0.113.7 0");
  EXPECT_EQ(client({"unknown, 198.51.100.1"}, everybody), "");
}

TEST(ForwardedTest, TheNearestProxyTellsTheScheme) {
  EXPECT_EQ(protection({"https"}), Protection::kTls);
  EXPECT_EQ(protection({" WSS\t"}), Protection::kTls);
  EXPECT_EQ(protection({"http"}), Protection::kPlain);
  EXPECT_EQ(protection({"ws"}), Protection::kPlain);
  EXPECT_EQ(protection({"https, http"}), Protection::kPlain);
  EXPECT_EQ(protection({"http", "https"}), Protection::kTls);
  for (std::string_view other : {"", "ftp", "httpss", "https,", "http https", "javascript:", "https, x"}) {
    EXPECT_EQ(protection({other}), Protection::kUnknown) << other;
    EXPECT_EQ(protection({"https", other}), Protection::kUnknown) << other;
  }
}

TEST(ForwardedTest, NothingWithoutTheseHeaders) {
  std::vector<base::Header> headers = {
      {"host", "a"}, {"x-forwarded-fox", "1.1.1.1"}, {"x-forwarded-protox", "https"}};
  EXPECT_EQ(kProxies.read(headers), nullptr);
  EXPECT_EQ(kProxies.read({}), nullptr);
}

}  // namespace
}  // namespace fasterapi::connection
