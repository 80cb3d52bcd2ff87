// SPDX-License-Identifier: Apache-2.0
#include "dns/message.h"

#include <gtest/gtest.h>

namespace knarr::dns {
namespace {

using std::string_literals::operator""s;

Message with_question(const char* name, uint16_t type) {
  Message query;
  query.id = 0x1234;
  query.recursion_desired = true;
  query.questions.push_back({Name::of(name), type, kInternet});
  return query;
}

std::string encoded(const Message& message, size_t limit = 65535) {
  std::string out;
  encode_message(message, limit, &out);
  return out;
}

TEST(NameTest, ReadsAndWritesText) {
  EXPECT_EQ(Name::of("a.B.c").wire(), "\1a\1B\1c\0"s);
  EXPECT_EQ(Name::of("a.B.c.").text(), "a.B.c.");
  EXPECT_EQ(Name::of(".").text(), ".");
  EXPECT_EQ(Name::of("a\\.b.c").wire(), "\3a.b\1c\0"s);
  EXPECT_EQ(Name::of("\\007x").text(), "\\007x.");
  EXPECT_FALSE(Name::from_text("a..b").ok());
  EXPECT_FALSE(Name::from_text(".a").ok());
  EXPECT_FALSE(Name::from_text("a\\30").ok());
  EXPECT_FALSE(Name::from_text("a\\").ok());
  EXPECT_FALSE(Name::from_text(std::string(64, 'a')).ok());
  std::string label(63, 'a');
  EXPECT_FALSE(Name::from_text(label + "." + label + "." + label + "." + label).ok());
  EXPECT_TRUE(Name::from_text(label + "." + label + "." + label + "." + std::string(61, 'a')).ok());
}

TEST(NameTest, ComparesWithoutCaseAndByWholeLabels) {
  EXPECT_EQ(Name::of("Web.Shop"), Name::of("wEB.shop"));
  EXPECT_TRUE(Name::of("a.cluster.LOCAL").is_within(Name::of("cluster.local")));
  EXPECT_TRUE(Name::of("cluster.local").is_within(Name::of("cluster.local")));
  EXPECT_FALSE(Name::of("acluster.local").is_within(Name::of("cluster.local")));
  EXPECT_TRUE(Name::of("x").is_within(Name()));
  EXPECT_FALSE(Name().is_within(Name::of("x")));
  // Bytes that look like another name's must not count across labels.
  EXPECT_FALSE(Name::of("a\\001b").is_within(Name::of("b")));
}

TEST(MessageTest, CompressesNamesAndReadsThemBack) {
  Message message = reply_to(with_question("web.shop.svc.cluster.local", kA), kNoError);
  message.authoritative = true;
  message.answers.push_back(*address_record(Name::of("web.shop.svc.cluster.local"), kA, 30, "10.96.1.1"));
  message.answers.push_back(name_record(Name::of("x.shop.svc.cluster.local"), kCname, 30, Name::of("web.shop.svc.cluster.local")));
  message.authorities.push_back(soa_record(Name::of("cluster.local"), 30, {Name::of("ns.dns.cluster.local"), Name::of("hostmaster.cluster.local"), 7, 7200, 1800, 86400, 30}));
  message.additionals.push_back(srv_record(Name::of("_a._b.cluster.local"), 5, 1, 2, 3, Name::of("web.shop.svc.cluster.local")));
  std::string wire = encoded(message);
  // The whole owner name of the first answer is a pointer to the question.
  EXPECT_EQ(wire.substr(12 + 28 + 4, 2), "\xc0\x0c");
  auto read = parse_message(wire);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->answers, message.answers);
  EXPECT_EQ(read->authorities, message.authorities);
  EXPECT_EQ(read->additionals, message.additionals);
  EXPECT_TRUE(read->authoritative && read->response && read->recursion_desired);
  EXPECT_EQ(soa_minimum(read->authorities[0]), 30u);
}

TEST(MessageTest, KeepsTheCaseOfNames) {
  Message message = with_question("WeB.Cluster.Local", kA);
  message.answers.push_back(name_record(Name::of("web.cluster.local"), kCname, 1, Name::of("WEB.cluster.local")));
  auto read = parse_message(encoded(message));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->questions[0].name.text(), "WeB.Cluster.Local.");
  EXPECT_EQ(read->answers[0].name.text(), "web.cluster.local.");
  EXPECT_EQ(read->answers[0].data, Name::of("WEB.cluster.local").wire());
}

TEST(MessageTest, LeavesOutWhatDoesNotFitAndSaysSo) {
  Message message = reply_to(with_question("large.shop.svc.cluster.local", kA), kNoError);
  message.edns = Edns{512, 0, true};
  for (int i = 0; i < 200; ++i) message.answers.push_back(*address_record(message.questions[0].name, kA, 30, "10.0.0." + std::to_string(i)));
  std::string wire = encoded(message, 512);
  EXPECT_LE(wire.size(), 512u);
  EXPECT_GT(wire.size(), 480u);
  auto read = parse_message(wire);
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->truncated);
  EXPECT_TRUE(read->edns && read->edns->dnssec_ok);
  EXPECT_LT(read->answers.size(), 40u);
  auto whole = parse_message(encoded(message));
  ASSERT_TRUE(whole.ok());
  EXPECT_FALSE(whole->truncated);
  EXPECT_EQ(whole->answers.size(), 200u);
}

TEST(MessageTest, CarriesExtendedCodes) {
  Message query = with_question("a", kA);
  query.edns = Edns{1232, 1, false};
  Message reply = reply_to(query, kBadVersion);
  auto read = parse_message(encoded(reply));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->rcode, kBadVersion);
  EXPECT_EQ(read->edns->version, 0);
  EXPECT_EQ(read->edns->udp_size, 1232);
}

TEST(MessageTest, RefusesWhatIsMalformed) {
  std::string header("\0\1\0\0\0\1\0\0\0\0\0\0", 12);
  std::string tail("\0\1\0\1", 4);
  EXPECT_TRUE(parse_message(header + "\1a\0"s + tail).ok());
  EXPECT_FALSE(parse_message(header + "\1a\0"s).ok());
  EXPECT_FALSE(parse_message(header + "\2a"s).ok());
  EXPECT_FALSE(parse_message(header + "\xc0\x0c"s + tail).ok());      // itself
  EXPECT_FALSE(parse_message(header + "\1a\xc0\x0c"s + tail).ok());   // a circle
  EXPECT_FALSE(parse_message(header + "\xc0\x20"s + tail).ok());      // forwards
  EXPECT_FALSE(parse_message(header + "\xc0\x00"s + tail).ok());      // into the header
  EXPECT_FALSE(parse_message(header + "\x41g"s + tail).ok());         // a reserved label type
  EXPECT_FALSE(parse_message(header.substr(0, 11)).ok());
  std::string endless;
  for (int i = 0; i < 200; ++i) endless += "\1a";
  EXPECT_FALSE(parse_message(header + endless + "\0"s + tail).ok());  // a name of 401 bytes
}

TEST(MessageTest, RefusesDataThatDoesNotFillItsLength) {
  Message message = with_question("a", kA);
  message.answers.push_back(name_record(Name::of("a"), kPtr, 1, Name::of("b")));
  std::string wire = encoded(message);
  ASSERT_TRUE(parse_message(wire).ok());
  std::string longer = wire + "x";
  longer[wire.size() - 4] = 4;  // the length of the data
  EXPECT_FALSE(parse_message(longer).ok());
}

TEST(MessageTest, SplitsLongTexts) {
  Record record = txt_record(Name(), 1, std::string(300, 'x'));
  EXPECT_EQ(record.data.size(), 302u);
  EXPECT_EQ(txt_record(Name(), 1, "").data, std::string(1, '\0'));
}

}  // namespace
}  // namespace knarr::dns
