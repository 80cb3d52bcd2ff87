// SPDX-License-Identifier: Apache-2.0
#include "net/http.h"

#include <gtest/gtest.h>

#include "net/http1_parser.h"

namespace knarr::net {
namespace {

TEST(Headers, CompareWithoutCase) {
  Headers headers;
  headers.add("Content-Type", "a");
  headers.add("X", "1");
  headers.add("x", "2");
  EXPECT_EQ(headers.get("content-type"), "a");
  headers.set("X", "3");
  EXPECT_EQ(headers.fields().size(), 2u);
  EXPECT_EQ(headers.get("x"), "3");
  headers.add("Connection", "keep-alive, Upgrade");
  EXPECT_TRUE(headers.has_token("connection", "upgrade"));
  EXPECT_FALSE(headers.has_token("connection", "up"));
}

TEST(Percent, RoundTripAndErrors) {
  EXPECT_EQ(*percent_decode("a%2Fb+c", true), "a/b c");
  EXPECT_FALSE(percent_decode("%2").ok());
  EXPECT_FALSE(percent_decode("%zz").ok());
  EXPECT_EQ(percent_encode("a/b c"), "a%2Fb%20c");
  EXPECT_EQ(percent_encode_path("/a b"), "/a%20b");
  Result<QueryParams> params = parse_query("a=1&b=%20&c&a=2");
  ASSERT_TRUE(params.ok());
  ASSERT_EQ(params->size(), 4u);
  EXPECT_EQ((*params)[1].second, " ");
  EXPECT_EQ((*params)[2].second, "");
  EXPECT_FALSE(parse_query("a=%").ok());
}

int parse(std::string_view text, Http1Head* head) {
  HeadScanner scanner;
  HeadScanner::State state = scanner.scan(text);
  if (state == HeadScanner::State::kBad) return 400;
  if (state == HeadScanner::State::kMore) return -1;
  return parse_request_head(text.substr(0, scanner.size()), head);
}

TEST(RequestHead, Good) {
  Http1Head head;
  ASSERT_EQ(parse("GET /a/b?c=d HTTP/1.1\r\nHost: h\r\nX-Y:  z \r\n\r\nrest", &head), 0);
  EXPECT_EQ(head.method, "GET");
  EXPECT_EQ(head.path, "/a/b");
  EXPECT_EQ(head.query, "c=d");
  EXPECT_EQ(head.authority, "h");
  EXPECT_EQ(head.headers.get("x-y"), "z");
  EXPECT_TRUE(head.keep_alive);
  Http1Head absolute;
  ASSERT_EQ(parse("GET http://other/x HTTP/1.0\r\nHost: h\r\n\r\n", &absolute), 0);
  EXPECT_EQ(absolute.authority, "other");
  EXPECT_FALSE(absolute.keep_alive);
}

TEST(RequestHead, Refused) {
  struct Case {
    const char* text;
    int status;
  };
  const Case cases[] = {
      {"GET / HTTP/1.1\n\n", 400},
      {"GET  HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /\r\nHost: h\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
      {"GET / HTTX/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400},
      {"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
  };
  for (const Case& c : cases) {
    Http1Head head;
    EXPECT_EQ(parse(c.text, &head), c.status) << c.text;
  }
}

TEST(ChunkDecoder, AnySplit) {
  const std::string text = "5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nT: 1\r\n\r\nNEXT";
  for (size_t step = 1; step < text.size(); ++step) {
    ChunkDecoder decoder;
    std::string out;
    size_t at = 0;
    while (!decoder.done() && at < text.size())
      at += decoder.feed(std::string_view(text).substr(at, step), 100, &out);
    EXPECT_TRUE(decoder.done());
    EXPECT_EQ(out, "hello world");
    EXPECT_EQ(text.substr(at), "NEXT");
    EXPECT_EQ(decoder.trailers().get("t"), "1");
  }
}

TEST(ChunkDecoder, Refuses) {
  for (const char* text :
       {"x\r\n", "\r\n", "5\nhello", "1\r\nab", "ffffffffffffffff\r\n", "0\r\nbad\r\n\r\n"}) {
    ChunkDecoder decoder;
    std::string out;
    decoder.feed(text, 100, &out);
    EXPECT_TRUE(decoder.failed()) << text;
  }
}

}  // namespace
}  // namespace knarr::net
