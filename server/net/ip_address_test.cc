#include "server/net/ip_address.h"

#include <gtest/gtest.h>

namespace fasterapi::net {
namespace {

bool contains(std::string_view network, std::string_view address) {
  return read_ip_network(network).value().contains(read_ip_address(address).value());
}

TEST(IpAddressTest, ReadsBothFamilies) {
  for (auto text :
       {"127.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1", "2001:DB8::7", "::ffff:1.2.3.4"}) {
    EXPECT_TRUE(read_ip_address(text)) << text;
  }
  EXPECT_EQ(read_ip_address("1.2.3.4"), read_ip_address("::FFFF:1.2.3.4"));
  EXPECT_EQ(read_ip_address("2001:db8:0::7"), read_ip_address("2001:DB8::7"));
  EXPECT_TRUE(read_ip_address("1.2.3.4")->is_v4());
  EXPECT_FALSE(read_ip_address("::1.2.3.4")->is_v4());
}

TEST(IpAddressTest, RefusesWhatIsNone) {
  for (std::string_view text :
       {"", " ", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.04", "0x7f.0.0.1", "1.2.3.4 ", "unknown", "*", ":",
        ":::", "1::2::3", "[::1]", "fe80::1%eth0", "::ffff:1.2.3.256", "1.2.3.4:80"}) {
    EXPECT_FALSE(read_ip_address(text)) << text;
  }
  EXPECT_FALSE(read_ip_address(std::string_view("1.2.3.4\0", 8)));
  EXPECT_FALSE(read_ip_address(std::string(100'000, ':')));
}

TEST(IpNetworkTest, ContainsWhatSharesItsPrefix) {
  EXPECT_TRUE(contains("10.0.0.0/8", "10.255.1.2"));
  EXPECT_FALSE(contains("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(contains("172.16.0.0/12", "172.31.255.255"));
  EXPECT_FALSE(contains("172.16.0.0/12", "172.32.0.0"));
  EXPECT_TRUE(contains("192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(contains("192.0.2.1", "192.0.2.2"));
  EXPECT_TRUE(contains("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(contains("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(contains("0.0.0.0/0", "8.8.8.8"));
  EXPECT_TRUE(contains("::/0", "2001:db8::1"));
}

TEST(IpNetworkTest, TellsTheFamiliesApart) {
  EXPECT_FALSE(contains("::/0", "8.8.8.8"));
  EXPECT_FALSE(contains("0.0.0.0/0", "::8.8.8.8"));
  EXPECT_TRUE(contains("10.0.0.0/8", "::ffff:10.1.1.1"));
  EXPECT_TRUE(contains("::ffff:10.0.0.0/104", "10.1.1.1"));
}

TEST(IpNetworkTest, RefusesWhatIsNone) {
  for (auto text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/8/8",
                    "10.0.0.0/8 ", "*", "/run/proxy.sock"}) {
    EXPECT_FALSE(read_ip_network(text)) << text;
  }
}

}  // namespace
}  // namespace fasterapi::net
