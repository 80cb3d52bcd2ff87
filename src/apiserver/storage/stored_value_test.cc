// SPDX-License-Identifier: Apache-2.0
#include "apiserver/storage/stored_value.h"

#include <gtest/gtest.h>

#include "api/discovery_v1.h"
#include "apiserver/conversion_discovery.h"
#include "schema/codec.h"

namespace knarr::apiserver {
namespace {

namespace v1 = api::discovery_v1;

v1::EndpointSlice slice_with(std::string_view node, std::string_view zone) {
  v1::EndpointSlice slice;
  slice.metadata.name = "s";
  slice.address_type = "IPv4";
  auto& endpoint = slice.endpoints.emplace_back();
  endpoint.addresses.emplace_back() = "192.0.2.1";
  if (!node.empty()) endpoint.node_name = node;
  if (!zone.empty()) endpoint.zone = zone;
  return slice;
}

TEST(StoredValue, SlicesLieInTheOlderVersionAndComeBack) {
  v1::EndpointSlice slice = slice_with("n1", "z1");
  slice.endpoints[0].hints.ensure().for_zones.emplace_back().name = "z2";
  slice.endpoints[0].deprecated_topology["kubernetes.io/hostname"] = "another";
  slice.endpoints[0].deprecated_topology["x"] = "y";
  Bytes value = encode_stored(v1::EndpointSlice::resource(), &slice);
  auto envelope = schema::open_envelope(value.view());
  ASSERT_TRUE(envelope.ok());
  EXPECT_EQ(envelope->type_meta.api_version, "discovery.k8s.io/v1beta1");
  StoredMessage message;
  ASSERT_TRUE(open_stored(v1::EndpointSlice::resource(), value.view(), false, message).ok());
  auto back = schema::from_proto<v1::EndpointSlice>(message.view);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, slice);
}

TEST(StoredValue, TopologyHoldsZoneAndNode) {
  auto older = to_v1beta1(slice_with("n1", "z1"));
  EXPECT_EQ(*older.endpoints[0].topology.find("topology.kubernetes.io/zone"), "z1");
  EXPECT_EQ(*older.endpoints[0].topology.find("kubernetes.io/hostname"), "n1");
  EXPECT_TRUE(to_v1(older).endpoints[0].deprecated_topology.is_null());
  EXPECT_TRUE(to_v1beta1(slice_with("", "")).endpoints[0].topology.is_null());
}

TEST(StoredValue, RefusesWhatIsNeither) {
  StoredMessage message;
  EXPECT_FALSE(open_stored(v1::EndpointSlice::resource(), "nonsense", false, message).ok());
  EXPECT_FALSE(open_stored(v1::EndpointSlice::resource(), "{\"metadata\":1}", false, message).ok());
}

}  // namespace
}  // namespace knarr::apiserver
