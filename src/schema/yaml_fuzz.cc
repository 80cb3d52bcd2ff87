// SPDX-License-Identifier: Apache-2.0
// Any bytes as YAML: what is accepted is valid JSON, and that JSON survives being written as YAML
// and read again.
#include <cstdlib>

#include "schema/codec.h"
#include "schema/json.h"
#include "schema/json_reader.h"

using namespace knarr;          // NOLINT
using namespace knarr::schema;  // NOLINT

namespace {
void check(bool condition) {
  if (!condition) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  DecodeReport report;
  if (Result<std::string> json = yaml_to_json(text, &report); json.ok()) {
    check(is_valid_json(*json));
    Result<std::string> yaml = json_to_yaml(*json);
    check(yaml.ok());
    // Upstream writes the key "<<" as it stands, and so do we; read again it is a merge.
    if (json->find("\"\\u003c\\u003c\"") != std::string::npos) return 0;
    Result<std::string> again = yaml_to_json(*yaml);
    check(again.ok() && *json::parse(*again) == *json::parse(*json));
  }
  if (Result<std::vector<std::string>> documents = yaml_documents_to_json(text); documents.ok())
    for (const std::string& document : *documents) check(is_valid_json(document));
  return 0;
}
