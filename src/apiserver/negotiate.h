// SPDX-License-Identifier: Apache-2.0
// Which encoding a request arrives in and which one its answer takes, by k8s.io/apiserver's rules (endpoints/handlers/negotiation).
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "schema/codec.h"

namespace knarr::apiserver {

struct OutputFormat {
  enum class As : uint8_t { kObject, kTable, kPartial };
  schema::Encoding encoding = schema::Encoding::kJson;
  As as = As::kObject;
  bool pretty = false;        // JSON with two-space indents
  bool stream_named = false;  // the client asked for ;stream=watch
};

// What the endpoint can do beside plain objects.
struct Offers {
  bool protobuf = true;
  bool table = false;
  bool partial = false;       // PartialObjectMetadata, or its List when `list`
  bool list = false;
  bool watch = false;
};

// 406 when nothing acceptable is offered. `pretty` is the query parameter's text.
Result<OutputFormat> negotiate_output(std::string_view accept, const Offers& offers);
// 415 for an unknown Content-Type; "" is JSON.
Result<schema::Encoding> negotiate_input(std::string_view content_type, bool protobuf = true);
std::string_view media_type(schema::Encoding encoding);

}  // namespace knarr::apiserver
