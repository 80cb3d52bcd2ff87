// SPDX-License-Identifier: Apache-2.0
// Any bytes as protobuf: what is accepted must have one canonical encoding, and JSON text that
// reads back.
#include <cstdlib>

#include "api/apiextensions_v1.h"
#include "api/core_v1.h"
#include "api/cri_v1.h"
#include "schema/codec.h"
#include "schema/json_reader.h"

using namespace knarr;          // NOLINT
using namespace knarr::schema;  // NOLINT

namespace {

void check(bool condition) {
  if (!condition) std::abort();
}

void check_type(std::string_view bytes, const Type& type) {
  Object first(type);
  if (!decode_proto(bytes, type, first.data()).ok()) return;
  std::string encoded;
  encode_proto(encoded, type, first.data());
  Object second(type);
  check(decode_proto(encoded, type, second.data()).ok());
  std::string again;
  encode_proto(again, type, second.data());
  check(again == encoded);
  Object copied(first);
  again.clear();
  encode_proto(again, type, copied.data());
  check(again == encoded);
  std::string json;
  encode_json(json, type, first.data());
  check(is_valid_json(json));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 6) {
    case 0:
      check_type(bytes, api::core_v1::Pod::table());
      break;
    case 1:
      check_type(bytes, api::apiextensions_v1::CustomResourceDefinition::table());
      break;
    case 2:
      check_type(bytes, api::cri_v1::RunPodSandboxRequest::table());
      break;
    case 3:
      check_type(bytes, kBuiltin.types[size % kBuiltin.type_count]);
      break;
    case 4:
      (void)open_envelope(bytes);
      break;
    case 5:
      if (Result<std::string> changed = with_resource_version(bytes, "7"); changed.ok()) {
        // Setting it once more changes nothing.
        Result<std::string> again = with_resource_version(*changed, "7");
        check(again.ok() && *again == *changed);
      }
      break;
  }
  return 0;
}
