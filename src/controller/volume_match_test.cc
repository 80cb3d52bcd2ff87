// SPDX-License-Identifier: Apache-2.0
#include "controller/volume_match.h"

#include <gtest/gtest.h>

#include "schema/codec.h"

namespace knarr::controller {
namespace {

template <class T>
T parse(const std::string& json) {
  auto value = schema::from_json<T>(json);
  EXPECT_TRUE(value.ok()) << json << ": " << value.status().message();
  return value.ok() ? std::move(*value) : T();
}

VolumePtr volume(const std::string& name, const std::string& size, const std::string& modes, const std::string& more_spec = "",
                 const std::string& phase = "Available") {
  return std::make_shared<const PersistentVolume>(parse<PersistentVolume>(
      R"({"metadata":{"name":")" + name + R"(","labels":{"name":")" + name + R"("}},"spec":{"capacity":{"storage":")" + size +
      R"("},"accessModes":[)" + modes + "]" + more_spec + R"(},"status":{"phase":")" + phase + "\"}}"));
}
PersistentVolumeClaim claim(const std::string& size, const std::string& modes, const std::string& more_spec = "") {
  return parse<PersistentVolumeClaim>(R"({"metadata":{"namespace":"n","name":"c","uid":"u"},"spec":{"accessModes":[)" + modes +
                                      R"(],"resources":{"requests":{"storage":")" + size + "\"}}" + more_spec + "}}");
}
const std::string kOnce = "\"ReadWriteOnce\"", kOnceAndMany = "\"ReadWriteOnce\",\"ReadWriteMany\"";

std::string found(const PersistentVolumeClaim& claim, const std::vector<VolumePtr>& volumes, bool delayed = false,
                  const api::core_v1::Node* node = nullptr) {
  auto volume = find_volume(claim, volumes, delayed, node);
  if (!volume.ok()) return std::string(volume.status().message());
  return *volume == nullptr ? "" : (*volume)->metadata.name.str();
}

TEST(VolumeMatch, FewestModesThenLeastSize) {
  std::vector<VolumePtr> volumes = {volume("big", "10Gi", kOnce), volume("fit", "5Gi", kOnce), volume("many", "1Gi", kOnceAndMany),
                                    volume("small", "100Mi", kOnce)};
  EXPECT_EQ(found(claim("1Gi", kOnce), volumes), "fit");
  EXPECT_EQ(found(claim("6Gi", kOnce), volumes), "big");
  EXPECT_EQ(found(claim("1Gi", "\"ReadWriteMany\""), volumes), "many");
  EXPECT_EQ(found(claim("2Gi", "\"ReadWriteMany\""), volumes), "");
  EXPECT_EQ(found(claim("11Gi", kOnce), volumes), "");
}

TEST(VolumeMatch, WhatRulesAVolumeOut) {
  PersistentVolumeClaim plain = claim("1Gi", kOnce);
  EXPECT_EQ(found(plain, {volume("v", "1Gi", kOnce, R"(,"storageClassName":"fast")")}), "");
  EXPECT_EQ(found(claim("1Gi", kOnce, R"(,"storageClassName":"fast")"), {volume("v", "1Gi", kOnce, R"(,"storageClassName":"fast")")}), "v");
  EXPECT_EQ(found(plain, {volume("v", "1Gi", kOnce, R"(,"volumeMode":"Block")")}), "");
  EXPECT_EQ(found(plain, {volume("v", "1Gi", kOnce, "", "Released")}), "");
  EXPECT_EQ(found(plain, {volume("v", "1Gi", kOnce, R"(,"claimRef":{"namespace":"n","name":"other"})")}), "");
  EXPECT_EQ(
      found(claim("1Gi", kOnce, R"(,"selector":{"matchLabels":{"name":"b"}})"), {volume("a", "1Gi", kOnce), volume("b", "1Gi", kOnce)}),
      "b");
}

TEST(VolumeMatch, Reserved) {
  std::vector<VolumePtr> volumes = {volume("free", "1Gi", kOnce),
                                    volume("mine", "5Gi", kOnceAndMany, R"(,"claimRef":{"namespace":"n","name":"c"})")};
  EXPECT_EQ(found(claim("1Gi", kOnce), volumes), "mine");
  EXPECT_EQ(found(claim("1Gi", kOnce), volumes, true), "mine") << "whoever waits for a consumer";
  EXPECT_EQ(found(claim("1Gi", kOnce), {volumes[0]}, true), "");
  EXPECT_EQ(found(claim("1Gi", kOnce), {volume("v", "1Gi", kOnce, R"(,"claimRef":{"namespace":"n","name":"c","uid":"before"})")}), "");
}

TEST(VolumeMatch, OfANode) {
  auto node = parse<api::core_v1::Node>(R"({"metadata":{"name":"a","labels":{"kubernetes.io/hostname":"a","zone":"z"}}})");
  auto on = [](const std::string& term) {
    return volume("v", "1Gi", kOnce, R"(,"nodeAffinity":{"required":{"nodeSelectorTerms":[)" + term + "]}}");
  };
  auto expression = [](const std::string& op, const std::string& values) {
    return R"({"matchExpressions":[{"key":"kubernetes.io/hostname","operator":")" + op + R"(","values":)" + values + "}]}";
  };
  PersistentVolumeClaim wanted = claim("1Gi", kOnce);
  EXPECT_EQ(found(wanted, {volume("v", "1Gi", kOnce)}, true, &node), "v");
  EXPECT_EQ(found(wanted, {on(expression("In", R"(["b","a"])"))}, true, &node), "v");
  EXPECT_EQ(found(wanted, {on(expression("In", R"(["b"])"))}, true, &node), "");
  EXPECT_EQ(found(wanted, {on(expression("In", R"(["b"])") + "," + expression("In", R"(["a"])"))}, true, &node), "v");
  EXPECT_EQ(found(wanted, {on(expression("NotIn", R"(["a"])"))}, true, &node), "");
  EXPECT_EQ(found(wanted, {on(R"({"matchFields":[{"key":"metadata.name","operator":"In","values":["a"]}]})")}, true, &node), "v");
  EXPECT_EQ(found(wanted, {on("{}")}, true, &node), "");
}

TEST(VolumeMatch, WhyNamedVolumesDoNotFit) {
  PersistentVolumeClaim wanted = claim("1Gi", kOnce);
  EXPECT_TRUE(check_satisfies(*volume("v", "1Gi", kOnce), wanted).ok());
  EXPECT_EQ(check_satisfies(*volume("v", "1Mi", kOnce), wanted).message(), "requested PV is too small");
  EXPECT_EQ(check_satisfies(*volume("v", "1Gi", kOnce, R"(,"storageClassName":"x")"), wanted).message(), "storageClassName does not match");
  EXPECT_EQ(check_satisfies(*volume("v", "1Gi", kOnce, R"(,"volumeMode":"Block")"), wanted).message(), "incompatible volumeMode");
  EXPECT_EQ(check_satisfies(*volume("v", "1Gi", "\"ReadOnlyMany\""), wanted).message(), "incompatible accessMode");
}

TEST(VolumeMatch, Binding) {
  PersistentVolume bound = *volume("v", "5Gi", kOnceAndMany);
  PersistentVolumeClaim holder = claim("1Gi", kOnce);
  EXPECT_TRUE(bind_volume(bound, holder));
  EXPECT_FALSE(bind_volume(bound, holder));
  EXPECT_EQ(bound.spec.claim_ref->uid, "u");
  EXPECT_TRUE(bound.metadata.annotations.contains(kBoundByController));
  EXPECT_TRUE(bind_claim(holder, bound));
  EXPECT_FALSE(bind_claim(holder, bound));
  EXPECT_EQ(holder.spec.volume_name, "v");
  auto changed = set_claim_status(holder, "Bound", &bound);
  ASSERT_TRUE(changed.ok());
  EXPECT_TRUE(*changed);
  EXPECT_EQ(holder.status.capacity.find("storage")->text, "5Gi");
  EXPECT_EQ(holder.status.access_modes.size(), 2u);
  EXPECT_FALSE(*set_claim_status(holder, "Bound", &bound));
  EXPECT_TRUE(*set_claim_status(holder, "Lost", nullptr));
  EXPECT_TRUE(holder.status.capacity.empty());
  unbind_volume(bound);
  EXPECT_FALSE(bound.spec.claim_ref);
  // What the user reserved stays reserved.
  PersistentVolume reserved = *volume("v", "5Gi", kOnce, R"(,"claimRef":{"namespace":"n","name":"c"})");
  EXPECT_TRUE(bind_volume(reserved, holder));
  EXPECT_FALSE(reserved.metadata.annotations.contains(kBoundByController));
  unbind_volume(reserved);
  EXPECT_EQ(reserved.spec.claim_ref->name, "c");
  EXPECT_EQ(reserved.spec.claim_ref->uid, "");
}

}  // namespace
}  // namespace knarr::controller
