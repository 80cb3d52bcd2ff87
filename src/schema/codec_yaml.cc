// SPDX-License-Identifier: Apache-2.0
#include "schema/codec.h"

namespace knarr::schema {
Result<std::string> yaml_to_json(std::string_view, DecodeReport*) { return Status::error("YAML is not read yet"); }
Result<std::vector<std::string>> yaml_documents_to_json(std::string_view) { return Status::error("YAML is not read yet"); }
Result<std::string> json_to_yaml(std::string_view) { return Status::error("YAML is not written yet"); }
}  // namespace knarr::schema
