// SPDX-License-Identifier: Apache-2.0
// Any bytes as JSON: what is accepted must survive being written and read again, as a tree and as
// typed objects.
#include <cstdlib>

#include "api/apiextensions_v1.h"
#include "api/core_v1.h"
#include "schema/codec.h"
#include "schema/json.h"
#include "schema/json_reader.h"

using namespace knarr;          // NOLINT
using namespace knarr::schema;  // NOLINT

namespace {

void check(bool condition) {
  if (!condition) std::abort();
}

void check_typed(std::string_view text, const KindInfo& kind) {
  Object first(*kind.type);
  DecodeReport report;
  if (!decode_json(text, *kind.type, first.data(), &report).ok()) return;
  std::string json = encode(Encoding::kJson, kind, first.data());
  Object second(*kind.type);
  check(decode_json(json, *kind.type, second.data()).ok());
  check(encode(Encoding::kJson, kind, second.data()) == json);
  check(equal(*kind.type, first.data(), second.data()));
  // Through protobuf too.
  Object third(*kind.type);
  check(decode_proto(open_envelope(encode(Encoding::kProtobuf, kind, first.data()))->raw,
                     *kind.type, third.data())
            .ok());
  check(equal(*kind.type, first.data(), third.data()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> duplicates;
  Result<json::Value> tree = json::parse(text, &duplicates);
  if (tree.ok()) {
    check(is_valid_json(text));
    std::string written = json::to_string(*tree);
    Result<json::Value> again = json::parse(written);
    check(again.ok() && *again == *tree);
    check(json::to_string(*again) == written);
    check(json::parse(json::to_pretty(*tree)).ok());
  }
  (void)peek_json(text);
  check_typed(text, api::core_v1::Pod::kind_info());
  check_typed(text, api::core_v1::Secret::kind_info());
  check_typed(text, api::apiextensions_v1::CustomResourceDefinition::kind_info());
  return 0;
}
