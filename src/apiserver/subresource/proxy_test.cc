// SPDX-License-Identifier: Apache-2.0
#include "apiserver/subresource/proxy.h"

#include <gtest/gtest.h>

#include "apiserver/subresource/html_links.h"

namespace knarr::apiserver::subresource {
namespace {

const LinkRules kRules{"/api/v1/namespaces/n/services/s/proxy", "10.0.0.1:80", "server:6443"};

std::string whole(std::string_view page) {
  HtmlLinks links(kRules);
  std::string out = links.feed(page);
  return out + links.finish();
}

TEST(ProxyTarget, MayNameASchemeAndAPort) {
  ProxyTarget target;
  ASSERT_TRUE(parse_proxy_target("web", target));
  EXPECT_EQ(target.scheme + "|" + target.name + "|" + target.port, "|web|");
  ASSERT_TRUE(parse_proxy_target("web:http", target));
  EXPECT_EQ(target.scheme + "|" + target.name + "|" + target.port, "|web|http");
  ASSERT_TRUE(parse_proxy_target("https:web:8443", target));
  EXPECT_EQ(target.scheme + "|" + target.name + "|" + target.port, "https|web|8443");
  ASSERT_TRUE(parse_proxy_target("https:web:", target));
  EXPECT_EQ(target.port, "");
  for (const char* bad : {"", ":80", "ftp:web:21", "a:b:c:d", "http::80"}) EXPECT_FALSE(parse_proxy_target(bad, target)) << bad;
}

TEST(ProxyTarget, AddressesOfOurselvesAreRefused) {
  for (const char* good : {"10.0.0.1", "8.8.8.8", "fd00::1", "2001:db8::1"}) EXPECT_TRUE(is_global_unicast(good)) << good;
  for (const char* bad : {"", "x", "127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "ff02::1"})
    EXPECT_FALSE(is_global_unicast(bad)) << bad;
}

TEST(RewriteUrl, PutsThePrefixBeforePathsOfTheBackend) {
  const std::pair<const char*, const char*> cases[] = {
      {"/x", "/api/v1/namespaces/n/services/s/proxy/x"},
      {"/x/?a=b#c", "/api/v1/namespaces/n/services/s/proxy/x/?a=b#c"},
      {"http://10.0.0.1:80/x", "/api/v1/namespaces/n/services/s/proxy/x"},
      {"https://server:6443/x", "https://server:6443/api/v1/namespaces/n/services/s/proxy/x"},
      {"//10.0.0.1:80/", "/api/v1/namespaces/n/services/s/proxy/"},
      {"/api/v1/namespaces/n/services/s/proxy/x", "/api/v1/namespaces/n/services/s/proxy/x"},
      {"http://example.com/x", "http://example.com/x"},
      {"x/y", "x/y"}, {"#a", "#a"}, {"", ""}, {"mailto:a@b", "mailto:a@b"}, {"?q=/x", "?q=/x"}, {"data:text/html,/x", "data:text/html,/x"},
  };
  for (const auto& [url, expected] : cases) EXPECT_EQ(rewrite_url(url, kRules), expected) << url;
}

TEST(HtmlLinks, RewritesAttributesThatHoldUrls) {
  EXPECT_EQ(whole(R"(<a href="/rewriteme">test</a>)"), R"(<a href="/api/v1/namespaces/n/services/s/proxy/rewriteme">test</a>)");
  EXPECT_EQ(whole("<IMG alt=/x SRC='/i.png'/>"), "<IMG alt=/x SRC='/api/v1/namespaces/n/services/s/proxy/i.png'/>");
  EXPECT_EQ(whole("<form action=/go method=post>"), "<form action=/api/v1/namespaces/n/services/s/proxy/go method=post>");
  EXPECT_EQ(whole("<a title=\"a > b\" href = \"/x\" download>"), "<a title=\"a > b\" href = \"/api/v1/namespaces/n/services/s/proxy/x\" download>");
}

TEST(HtmlLinks, LeavesEverythingElseAlone) {
  for (const char* page : {"", "<", "<a", "<a href=\"/x", "a < b", "<!-- <a href=\"/x\"> -->", "<script>'<a href=\"/x\">'</script>", "<p href=\"/x\">",
                           "<!doctype html>", "</a href=\"/x\">", "<a data-href=\"/x\">", "<a href>", "<a =\"/x\">"})
    EXPECT_EQ(whole(page), page);
}

TEST(HtmlLinks, PiecesDoNotMatter) {
  constexpr std::string_view kPage = "<html><!-- x --><script src='/s.js'>if (a<b) '<a href=/n>'</script><body>\n<a\thref=\"/x\">x</a></body></html>";
  std::string expected = whole(kPage);
  EXPECT_NE(expected, kPage);
  for (size_t step = 1; step < 9; ++step) {
    HtmlLinks links(kRules);
    std::string out;
    for (size_t at = 0; at < kPage.size(); at += step) out += links.feed(kPage.substr(at, step));
    EXPECT_EQ(out + links.finish(), expected) << step;
  }
}

TEST(HtmlLinks, DoesNotKeepMoreThanATag) {
  HtmlLinks links(kRules);
  std::string out = links.feed("<a title=\"" + std::string(100000, 'x'));
  EXPECT_GT(out.size(), 60000u);
}

}  // namespace
}  // namespace knarr::apiserver::subresource
