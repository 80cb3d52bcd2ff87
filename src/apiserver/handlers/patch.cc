// SPDX-License-Identifier: Apache-2.0
#include "schema/patch.h"

#include "apiserver/errors.h"
#include "apiserver/handlers/edge.h"
#include "apiserver/handlers/handlers.h"
#include "apiserver/handlers/respond.h"
#include "schema/json.h"

namespace knarr::apiserver {
namespace {

constexpr std::string_view kJsonPatch = "application/json-patch+json";
constexpr std::string_view kMergePatch = "application/merge-patch+json";
constexpr std::string_view kStrategicPatch = "application/strategic-merge-patch+json";
constexpr std::string_view kApplyPatch = "application/apply-patch+yaml";

struct Patch {
  std::string_view type;
  json::Value document;
  std::vector<std::string> duplicates;  // keys given twice, for field validation
};

Result<Patch> parse_patch(std::string_view content_type, std::string_view body) {
  std::string_view media = content_type.substr(0, content_type.find(';'));
  while (!media.empty() && media.back() == ' ') media.remove_suffix(1);
  Patch patch;
  for (std::string_view known : {kJsonPatch, kMergePatch, kStrategicPatch, kApplyPatch})
    if (media == known) patch.type = known;
  // Upstream's router says this, not its handlers.
  if (patch.type.empty()) return unsupported_media_type("415: Unsupported Media Type");
  if (patch.type == kApplyPatch) {
    schema::DecodeReport report;
    auto text = schema::yaml_to_json(body, &report);
    if (!text.ok()) return bad_request("error decoding YAML: " + std::string(text.status().message()));
    TRY_ASSIGN(patch.document, json::parse(*text));
    patch.duplicates = std::move(report.problems);
    return patch;
  }
  auto document = json::parse(body, &patch.duplicates);
  if (!document.ok()) {
    if (patch.type == kStrategicPatch || patch.type == kMergePatch) return bad_request("error decoding patch: " + std::string(document.status().message()));
    return bad_request(document.status().message());
  }
  patch.document = std::move(*document);
  for (std::string& path : patch.duplicates) path = "duplicate field \"" + path + "\"";
  return patch;
}

Result<json::Value> apply(const Patch& patch, json::Value current, const schema::Type& type) {
  if (patch.type == kJsonPatch) return schema::apply_json_patch(std::move(current), patch.document);
  if (patch.type == kMergePatch) return schema::apply_merge_patch(std::move(current), patch.document);
  return schema::apply_strategic_patch(std::move(current), patch.document, type);
}

// The stored object with the patch applied: patched as JSON of the version asked for.
Result<schema::Object> patched(const WriteRequestEdge& edge, const Patch& patch, const WriteOptions& options, const schema::Object& old,
                               std::vector<std::string>& warnings) {
  schema::Object versioned = from_storage(edge, old.data());
  std::string text;
  schema::encode_json(text, versioned.type(), versioned.data(), &edge.kind);
  TRY_ASSIGN(json::Value current, json::parse(text));
  TRY_ASSIGN(json::Value next, apply(patch, std::move(current), versioned.type()));
  std::string next_text = json::to_string(next);
  schema::Object object(*edge.asked.type);
  schema::DecodeReport report;
  Status decoded = schema::decode_json(next_text, object.type(), object.data(), &report);
  if (!decoded.ok()) {
    FieldErrors errors;
    errors.invalid(Path("patch"), quoted(next_text), decoded.message());
    return invalid_status("", "", "", errors);
  }
  if ((!report.type_meta.kind.empty() && report.type_meta.kind != edge.kind.kind) ||
      (!report.type_meta.api_version.empty() && report.type_meta.api_version != edge.kind.api_version))
    return bad_request("the API version in the data (" + report.type_meta.api_version + ") does not match the expected API version (" +
                       std::string(edge.kind.api_version) + ")");
  std::vector<std::string> problems = patch.duplicates;
  problems.insert(problems.end(), report.problems.begin(), report.problems.end());
  TRY(settle_problems(options, edge.kind, problems, warnings));
  schema::Object made = to_storage(edge, std::move(object));
  edge.own(&old, made, options);
  return made;
}

// The stored object (null: none yet) with the applied configuration merged in.
Result<schema::Object> applied(const WriteRequestEdge& edge, const Patch& patch, const WriteOptions& options, const schema::Object* old,
                               std::vector<std::string>& warnings) {
  TRY(settle_problems(options, edge.kind, patch.duplicates, warnings));
  TRY_ASSIGN(schema::Object object, edge.fields().apply(old, patch.document, options.field_manager, options.force));
  return to_storage(edge, std::move(object));
}

}  // namespace

Task<Status> handle_patch(RequestContext& context) {
  WatchCache* cache = context.core.cache(*context.resource);
  if (cache == nullptr) co_return method_not_supported(context.info.group, context.info.resource, "patch");
  auto door = door_of(context);
  if (!door.ok()) co_return door.status();
  Offers offers;
  offers.table = offers.partial = true;
  auto format = negotiate_output(context.request.headers.get("Accept"), offers);
  if (!format.ok()) co_return format.status();
  auto body = co_await read_body(context);
  if (!body.ok()) co_return body.status();
  auto patch = parse_patch(context.request.headers.get("Content-Type"), *body);
  if (!patch.ok()) co_return patch.status();
  const bool is_apply = patch->type == kApplyPatch;
  auto options = parse_write_options(context, "PatchOptions", is_apply);
  if (!options.ok()) co_return options.status();

  WriteRequestEdge edge(context, *cache, options->dry_run);
  Update change;
  change.door = *door;
  change.may_create = is_apply;
  change.make = [&](const schema::Object* old) -> Result<schema::Object> {
    if (old == nullptr && !is_apply) return not_found(context.info.group, context.info.resource, context.info.name);
    auto made = is_apply ? applied(edge, *patch, *options, old, edge.context.warnings) : patched(edge, *patch, *options, *old, edge.context.warnings);
    if (made.ok() && metadata_of(*made).name != context.info.name)
      return bad_request("the name of the object (" + metadata_of(*made).name.str() + ") does not match the name on the URL (" + context.info.name + ")");
    return made;
  };
  auto result = co_await update(edge.write, std::move(change));
  edge.collect_warnings();
  if (!result.ok()) co_return result.status();
  edge.trace_created(*result);
  Status status = co_await respond_cached(context, result->created ? 201 : 200, *format, result->object);
  co_return status;
}

}  // namespace knarr::apiserver
