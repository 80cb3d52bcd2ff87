// SPDX-License-Identifier: Apache-2.0
#include "apiserver/negotiate.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "apiserver/errors.h"

namespace knarr::apiserver {
namespace {

using schema::Encoding;

constexpr size_t kMaxClauses = 64;

struct Clause {
  std::string_view type, subtype;
  double quality = 1;
  std::string_view as, group, version;
  bool pretty = false, stream = false;
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string_view take(std::string_view& rest, char separator) {
  size_t at = rest.find(separator);
  std::string_view head = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return trimmed(head);
}

Clause parse_clause(std::string_view text) {
  Clause clause;
  std::string_view media = take(text, ';');
  clause.type = take(media, '/');
  clause.subtype = media;
  if (clause.type == "*" && clause.subtype.empty()) clause.subtype = "*";
  while (!text.empty()) {
    std::string_view parameter = take(text, ';');
    std::string_view value = parameter;
    std::string_view key = take(value, '=');
    value = trimmed(value);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    if (key == "q") clause.quality = std::atof(std::string(value).c_str());
    if (key == "as") clause.as = value;
    if (key == "g") clause.group = value;
    if (key == "v") clause.version = value;
    if (key == "pretty") clause.pretty = value == "1" || value == "true";
    if (key == "stream") clause.stream = value == "watch";
  }
  return clause;
}

// Best quality first; among equals the client's order.
std::vector<Clause> parse_accept(std::string_view accept) {
  std::vector<Clause> clauses;
  while (!accept.empty() && clauses.size() < kMaxClauses) {
    std::string_view part = take(accept, ',');
    if (!part.empty()) clauses.push_back(parse_clause(part));
  }
  std::stable_sort(clauses.begin(), clauses.end(), [](const Clause& a, const Clause& b) { return a.quality > b.quality; });
  return clauses;
}

bool transform_allowed(const Clause& clause, Encoding encoding, const Offers& offers, OutputFormat::As* as) {
  *as = OutputFormat::As::kObject;
  if (clause.as.empty()) return true;
  if (clause.group != "meta.k8s.io" || clause.version != "v1") return false;
  if (clause.as == "Table") {
    *as = OutputFormat::As::kTable;
    return offers.table && encoding != Encoding::kProtobuf;
  }
  if (clause.as == "PartialObjectMetadata" || clause.as == "PartialObjectMetadataList") {
    *as = OutputFormat::As::kPartial;
    bool wants_list = clause.as == "PartialObjectMetadataList";
    return offers.partial && (wants_list == offers.list || offers.watch);
  }
  return false;
}

std::string accepted_types(bool protobuf) {
  return protobuf ? "application/json, application/yaml, application/vnd.kubernetes.protobuf" : "application/json, application/yaml";
}

}  // namespace

std::string_view media_type(Encoding encoding) {
  switch (encoding) {
    case Encoding::kJson: return "application/json";
    case Encoding::kYaml: return "application/yaml";
    case Encoding::kProtobuf: return "application/vnd.kubernetes.protobuf";
  }
  return "";
}

Result<OutputFormat> negotiate_output(std::string_view accept, const Offers& offers) {
  accept = trimmed(accept);
  if (accept.empty()) return OutputFormat{};
  bool media_known = false;
  for (const Clause& clause : parse_accept(accept)) {
    for (Encoding encoding : {Encoding::kJson, Encoding::kYaml, Encoding::kProtobuf}) {
      if (encoding == Encoding::kProtobuf && !offers.protobuf) continue;
      std::string_view subtype = media_type(encoding).substr(std::string_view("application/").size());
      bool type_matches = clause.type == "*" || clause.type == "application";
      if (!type_matches || (clause.subtype != "*" && clause.subtype != subtype)) continue;
      media_known = true;
      OutputFormat format;
      if (!transform_allowed(clause, encoding, offers, &format.as)) continue;
      format.encoding = encoding;
      format.pretty = clause.pretty;
      format.stream_named = clause.stream;
      return format;
    }
  }
  if (media_known) return not_acceptable("only the following media types are accepted: " + accepted_types(offers.protobuf));
  // Upstream's router answers this before its handlers see the request.
  std::string text = "406: Not Acceptable\n\nAvailable representations: " + accepted_types(offers.protobuf);
  if (offers.list || offers.watch) text += offers.protobuf ? ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
                                                           : ", application/json;stream=watch";
  return not_acceptable(text);
}

Result<Encoding> negotiate_input(std::string_view content_type, bool protobuf) {
  std::string_view media = trimmed(content_type.substr(0, content_type.find(';')));
  if (media.empty() || media == media_type(Encoding::kJson)) return Encoding::kJson;
  if (media == media_type(Encoding::kYaml)) return Encoding::kYaml;
  if (protobuf && media == media_type(Encoding::kProtobuf)) return Encoding::kProtobuf;
  return unsupported_media_type("the body of the request was in an unknown format - accepted media types include: " + accepted_types(protobuf));
}

}  // namespace knarr::apiserver
