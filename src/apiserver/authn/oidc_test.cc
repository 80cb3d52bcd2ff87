// SPDX-License-Identifier: Apache-2.0
// Claims of ID tokens and headers of proxies; the cases follow upstream's oidc_test.go and requestheader_test.go.
#include "apiserver/authn/oidc.h"

#include <gtest/gtest.h>

#include "apiserver/authn/request_header.h"
#include "pki/jwt.h"
#include "pki/pki.h"

namespace knarr::apiserver::authn {
namespace {

const WallTime kNow{std::chrono::seconds(1'700'000'000)};

OidcOptions options() {
  OidcOptions made;
  made.issuer_url = "https://idp";
  made.client_id = "kube";
  return made;
}
json::Value claims(std::string_view text) { return *json::parse(text); }
std::string check(std::string_view text, OidcOptions o = options()) { return std::string(check_id_token(o, claims(text), kNow).message()); }

TEST(Oidc, TokensAreForUsAndNow) {
  EXPECT_EQ(check(R"({"iss":"https://idp","aud":"kube","exp":1700000001})"), "");
  EXPECT_EQ(check(R"({"iss":"https://idp","aud":["x","kube"],"exp":1700000001,"nbf":1700000299})"), "");
  EXPECT_EQ(check(R"({"iss":"https://other","aud":"kube","exp":1700000001})"),
            R"(oidc: verify token: oidc: id token issued by a different provider, expected "https://idp" got "https://other")");
  EXPECT_EQ(check(R"({"iss":"https://idp","aud":["a","b"],"exp":1700000001})"), R"(oidc: verify token: oidc: expected audience "kube" got ["a" "b"])");
  EXPECT_EQ(check(R"({"iss":"https://idp","aud":"kube","exp":1700000000})"), "oidc: verify token: oidc: token is expired (Token Expiry: 1700000000)");
  for (std::string_view bad : {R"({"iss":"https://idp","aud":"kube"})", R"({"iss":"https://idp","aud":"kube","exp":"1800000000"})",
                               R"({"iss":"https://idp","exp":1800000000})", R"({"iss":"https://idp","aud":"kube","exp":1800000000,"nbf":1700000301})", "{}"})
    EXPECT_NE(check(bad), "") << bad;
}

struct UserCase {
  std::string claims, name, groups, error;
};
void expect_user(const OidcOptions& o, const UserCase& each) {
  auto user = user_of_claims(o, claims(each.claims));
  EXPECT_EQ(std::string(user.status().message()), each.error) << each.claims;
  if (!user.ok()) return;
  EXPECT_EQ(user->name, each.name);
  std::string groups;
  for (const std::string& group : user->groups) groups += (groups.empty() ? "" : " ") + group;
  EXPECT_EQ(groups, each.groups);
}

TEST(Oidc, NamesAreKeptApartByTheirIssuer) {
  OidcOptions o = options();
  expect_user(o, {R"({"sub":"jane"})", "https://idp#jane", "", ""});
  o.username_prefix = "-";
  expect_user(o, {R"({"sub":"jane"})", "jane", "", ""});
  o.username_prefix = "oidc:";
  o.groups_claim = "groups";
  o.groups_prefix = "g:";
  expect_user(o, {R"({"sub":"jane","groups":["a","b"]})", "oidc:jane", "g:a g:b", ""});
  expect_user(o, {R"({"sub":"jane","groups":"a"})", "oidc:jane", "g:a", ""});
  expect_user(o, {R"({"sub":"jane"})", "oidc:jane", "", ""});
  expect_user(o, {R"({"sub":"jane","groups":[1]})", "", "", R"(oidc: parse groups claim "groups": neither a string nor a list of strings)"});
  expect_user(o, {R"({"sub":7})", "", "", R"(oidc: parse username claims "sub": not a string)"});
  expect_user(o, {R"({})", "", "", R"(oidc: parse username claims "sub": claim not present)"});
}

TEST(Oidc, MailAddressesAreVerifiedAndClaimsRequired) {
  OidcOptions o = options();
  o.username_claim = "email";
  expect_user(o, {R"({"email":"a@b"})", "a@b", "", ""});
  expect_user(o, {R"({"email":"a@b","email_verified":true})", "a@b", "", ""});
  expect_user(o, {R"({"email":"a@b","email_verified":false})", "", "", "oidc: email not verified"});
  expect_user(o, {R"({"email":"a@b","email_verified":"true"})", "", "", "oidc: parse 'email_verified' claim: not a boolean"});
  o.required_claims = {"hd=example.com"};
  expect_user(o, {R"({"email":"a@b","hd":"example.com"})", "a@b", "", ""});
  expect_user(o, {R"({"email":"a@b","hd":"x"})", "", "", "oidc: required claim hd value does not match. Got = x, want = example.com"});
  expect_user(o, {R"({"email":"a@b"})", "", "", "oidc: required claim hd not present in ID token"});
}

TEST(Oidc, KeySetsHoldKeysOfManyKinds) {
  auto rsa = pki::generate_key(pki::KeyType::kRsa2048), ec = pki::generate_key(pki::KeyType::kEcdsaP256);
  ASSERT_TRUE(rsa.ok() && ec.ok());
  auto set = pki::json_web_key_set(*rsa + *ec);
  ASSERT_TRUE(set.ok());
  json::Value document = *json::parse(*set);
  document["keys"].push_back(*json::parse(R"({"kty":"oct","k":"AAAA","kid":"secret"})"));
  document["keys"].push_back(*json::parse(R"({"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"})"));
  auto keys = parse_key_set(json::to_string(document));
  ASSERT_TRUE(keys.ok());
  // A shared secret verifies nothing here, nor does a key for encryption.
  ASSERT_EQ(keys->size(), 2u);
  for (const std::string& pem : {*rsa, *ec}) {
    auto signer = pki::JwtSigner::make(pem);
    auto token = (*signer)->sign("{}");
    auto parts = pki::split_jwt(*token);
    int verified = 0;
    for (const OidcKey& key : *keys)
      for (std::string_view algorithm : {"RS256", "ES256"})
        if (key.key.verify(algorithm, parts->signed_part, parts->signature)) verified += key.id == (*signer)->key_id() ? 1 : 100;
    EXPECT_EQ(verified, 1);
  }
  EXPECT_FALSE(parse_key_set("{}").ok());
  EXPECT_FALSE(parse_key_set("no").ok());
}

TEST(RequestHeader, NamesUserGroupsAndMore) {
  RequestHeaderOptions o{{}, {"X-Remote-User", "X-User"}, {"X-Remote-Group"}, {"X-Remote-Extra-"}};
  net::Headers headers;
  headers.add("x-user", "bob");
  headers.add("X-Remote-Group", "a");
  headers.add("x-remote-group", "b");
  headers.add("X-Remote-Extra-Acme.com%2fScope", "s");
  headers.add("Accept", "x");
  auto user = take_header_user(o, headers);
  ASSERT_TRUE(user.has_value());
  EXPECT_EQ(user->name, "bob");
  EXPECT_EQ(user->groups, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(user->extra.at("acme.com/scope"), std::vector<std::string>{"s"});
  // What the proxy said goes no further.
  EXPECT_EQ(headers.fields().size(), 1u);
  EXPECT_FALSE(take_header_user(o, headers).has_value());
}

}  // namespace
}  // namespace knarr::apiserver::authn
