// SPDX-License-Identifier: Apache-2.0
#include "apiserver/handlers/options.h"

#include <charconv>

#include "apiserver/core.h"
#include "apiserver/conversion.h"
#include "apiserver/errors.h"
#include "apiserver/registry/metadata.h"

namespace knarr::apiserver {
namespace {

std::string go_strings(const std::vector<std::string>& values) {
  std::string text = "[]string{";
  for (size_t i = 0; i < values.size(); ++i) text += (i > 0 ? ", " : "") + quoted(values[i]);
  return text + "}";
}

bool parse_bool(std::string_view text) { return !(text.empty() || text == "0" || text == "false" || text == "False" || text == "FALSE" || text == "f"); }

void check_dry_run(const std::vector<std::string>& values, FieldErrors& errors) {
  for (const std::string& value : values) {
    if (value == "All") continue;
    errors.not_supported(Path("dryRun"), go_strings(values), {"All"});
    return;
  }
}

void check_field_manager(std::string_view manager, FieldErrors& errors) {
  if (manager.size() > 128) errors.too_long(Path("fieldManager"), manager, 128);
  for (size_t i = 0; i < manager.size(); ++i) {
    if (static_cast<uint8_t>(manager[i]) >= 0x20 && manager[i] != 0x7F) continue;
    char text[64];
    std::snprintf(text, sizeof text, "invalid character U+%04X (at position %zu)", static_cast<unsigned>(manager[i]), i);
    errors.invalid(Path("fieldManager"), quoted(manager), text);
  }
}

std::string_view version_of(std::string_view api_version) {
  size_t slash = api_version.find('/');
  return slash == std::string_view::npos ? api_version : api_version.substr(slash + 1);
}

// The start of a body that cannot be read, for the message.
std::string summary(std::string_view body) {
  constexpr size_t kMax = 30;
  if (body.empty()) return "<empty>";
  std::string text;
  if (body[0] == '{') {
    text = body.substr(0, kMax);
  } else {
    for (char c : body.substr(0, kMax)) {
      char hex[3];
      std::snprintf(hex, sizeof hex, "%02x", static_cast<uint8_t>(c));
      text += hex;
    }
  }
  return body.size() > kMax ? text + " ..." : text;
}

std::string cannot_be_handled(std::string_view kind, std::string_view api_version, const schema::KindInfo& expected, std::string_view why) {
  return std::string(kind) + " in version " + quoted(version_of(api_version)) + " cannot be handled as a " + std::string(expected.kind) + ": " +
         std::string(why);
}

Status check_type(const schema::TypeMeta& given, const schema::KindInfo& expected) {
  if (!given.kind.empty() && given.kind != expected.kind) {
    std::string_view api_version = given.api_version.empty() ? expected.api_version : std::string_view(given.api_version);
    std::string why = schema::find_kind(api_version, given.kind) != nullptr
                          ? "converting (" + std::string(version_of(api_version)) + "." + given.kind + ") to (" +
                                (expected.group.empty() ? "core" : std::string(expected.group.substr(0, expected.group.find('.')))) + "." +
                                std::string(expected.kind) + "): unknown conversion"
                          : "no kind " + quoted(given.kind) + " is registered for version " + quoted(api_version) +
                                " in scheme \"pkg/api/legacyscheme/scheme.go:30\"";
    return bad_request(cannot_be_handled(given.kind, api_version, expected, why));
  }
  if (!given.api_version.empty() && given.api_version != expected.api_version)
    return bad_request("the API version in the data (" + given.api_version + ") does not match the expected API version (" +
                       std::string(expected.api_version) + ")");
  return {};
}

Status unknown_field(const schema::Resource& resource, std::string_view field) {
  if (resource.selectors.empty())
    return bad_request(quoted(field) + " is not a known field selector: only \"metadata.name\", \"metadata.namespace\"");
  return bad_request("field label not supported: " + std::string(field));
}

Result<schema::FieldSelector> parse_fields(const schema::Resource& resource, std::string_view text) {
  TRY_ASSIGN(schema::FieldSelector given, schema::FieldSelector::parse(text));
  bool renamed = false;
  std::string canonical;
  for (const auto& term : given.terms()) {
    bool known = term.field == "metadata.name" || (term.field == "metadata.namespace");
    for (std::string_view selector : resource.selectors) known = known || term.field == selector;
    if (!known) return unknown_field(resource, term.field);
    renamed = renamed || storage_field_name(resource, term.field) != term.field;
  }
  if (!renamed) return given;
  for (const auto& term : given.terms()) {
    canonical += (canonical.empty() ? "" : ",") + storage_field_name(resource, term.field) + (term.equal ? "=" : "!=");
    for (char c : term.value) {
      if (c == '\\' || c == ',' || c == '=') canonical += '\\';
      canonical += c;
    }
  }
  return schema::FieldSelector::parse(canonical);
}

Result<int64_t> parse_int(const RequestContext& context, std::string_view name) {
  std::string_view text = context.param(name);
  if (text.empty()) return int64_t{0};
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return bad_request("strconv.ParseInt: parsing " + quoted(text) + ": invalid syntax");
  return value;
}

Status check_list_options(const RequestContext& context, const ListOptions& options) {
  FieldErrors errors;
  Path match_path("resourceVersionMatch");
  const std::string& match = options.resource_version_match;
  bool send_initial = has_query(context.query, "sendInitialEvents");
  if (options.watch) {
    if (send_initial) {
      if (match != "NotOlderThan") errors.forbidden(match_path, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
      errors.forbidden(Path("sendInitialEvents"), "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled");
    }
    if (!match.empty()) {
      if (!send_initial) errors.forbidden(match_path, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
      if (match != "NotOlderThan") errors.not_supported(match_path, quoted(match), {"NotOlderThan"});
      if (!options.continue_token.empty()) errors.forbidden(match_path, "resourceVersionMatch is forbidden when continue is provided");
    }
  } else {
    if (!match.empty()) {
      if (options.resource_version.empty()) errors.forbidden(match_path, "resourceVersionMatch is forbidden unless resourceVersion is provided");
      if (!options.continue_token.empty()) errors.forbidden(match_path, "resourceVersionMatch is forbidden when continue is provided");
      if (match != "Exact" && match != "NotOlderThan") errors.not_supported(match_path, quoted(match), {"Exact", "NotOlderThan", ""});
      if (match == "Exact" && options.resource_version == "0")
        errors.forbidden(match_path, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
    }
    if (send_initial) errors.forbidden(Path("sendInitialEvents"), "sendInitialEvents is forbidden for list");
  }
  if (errors.empty()) return {};
  return invalid_status("meta.k8s.io", "ListOptions", "", errors);
}

}  // namespace

Result<int64_t> parse_revision(std::string_view text) {
  if (text.empty() || text == "0") return int64_t{0};
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    FieldErrors errors;
    errors.invalid(Path("resourceVersion"), quoted(text), "strconv.ParseUint: parsing " + quoted(text) + ": invalid syntax");
    return bad_request(errors.causes()[0].field + ": " + errors.causes()[0].message);
  }
  return value;
}

Result<WriteOptions> parse_write_options(const RequestContext& context, std::string_view kind, bool apply) {
  WriteOptions options;
  FieldErrors errors;
  if (has_query(context.query, "force")) {
    options.force = parse_bool(context.param("force"));
    if (!apply) errors.forbidden(Path("force"), "may not be specified for non-apply patch");
  }
  options.field_manager = context.param("fieldManager");
  if (apply && options.field_manager.empty()) errors.required(Path("fieldManager"), "is required for apply patch");
  check_field_manager(options.field_manager, errors);
  std::vector<std::string> dry_run;
  for (const auto& [key, value] : context.query)
    if (key == "dryRun" && !value.empty()) dry_run.push_back(value);
  check_dry_run(dry_run, errors);
  options.dry_run = !dry_run.empty();
  std::string_view validation = context.param("fieldValidation");
  if (validation == "Strict") {
    options.validation = FieldValidation::kStrict;
  } else if (validation == "Ignore") {
    options.validation = FieldValidation::kIgnore;
  } else if (!validation.empty() && validation != "Warn") {
    errors.not_supported(Path("fieldValidation"), quoted(validation), {"", "Ignore", "Strict", "Warn"});
  }
  if (!errors.empty()) return invalid_status("meta.k8s.io", kind, "", errors);
  return options;
}

Result<ListOptions> parse_list_options(const RequestContext& context) {
  ListOptions options;
  TRY_ASSIGN(options.labels, schema::LabelSelector::parse(context.param("labelSelector")));
  std::string fields(context.param("fieldSelector"));
  // The legacy path /watch/.../NAME is a selector on the name.
  if (context.info.verb == "watch" && context.info.parts.size() >= 2 && fields.empty()) fields = "metadata.name=" + context.info.parts[1];
  TRY_ASSIGN(options.fields, parse_fields(*context.resource, fields));
  options.resource_version = context.param("resourceVersion");
  options.resource_version_match = context.param("resourceVersionMatch");
  options.continue_token = context.param("continue");
  TRY_ASSIGN(options.limit, parse_int(context, "limit"));
  options.watch = context.info.verb == "watch";
  options.bookmarks = parse_bool(context.param("allowWatchBookmarks"));
  if (has_query(context.query, "timeoutSeconds")) {
    TRY_ASSIGN(int64_t seconds, parse_int(context, "timeoutSeconds"));
    options.timeout_seconds = seconds;
  }
  TRY(check_list_options(context, options));
  if (const std::string* name = options.fields.required_value("metadata.name")) options.single = *name;
  return options;
}

Task<Result<api::meta_v1::DeleteOptions>> read_delete_options(RequestContext& context) {
  api::meta_v1::DeleteOptions options;
  auto body = co_await read_body(context);
  if (!body.ok()) co_return body.status();
  if (!body->empty()) {
    auto encoding = negotiate_input(context.request.headers.get("Content-Type"));
    if (!encoding.ok()) co_return encoding.status();
    schema::DecodeReport report;
    CO_TRY(schema::decode(*encoding, *body, api::meta_v1::DeleteOptions::table(), &options, &report));
    if (!report.type_meta.kind.empty() && report.type_meta.kind != "DeleteOptions")
      co_return bad_request("decoded object cannot be converted to DeleteOptions");
  } else {
    if (has_query(context.query, "gracePeriodSeconds")) {
      CO_TRY_ASSIGN(int64_t seconds, parse_int(context, "gracePeriodSeconds"));
      options.grace_period_seconds = seconds;
    }
    if (has_query(context.query, "orphanDependents")) options.orphan_dependents = parse_bool(context.param("orphanDependents"));
    if (has_query(context.query, "propagationPolicy")) options.propagation_policy = context.param("propagationPolicy");
    for (const auto& [key, value] : context.query)
      if (key == "dryRun" && !value.empty()) options.dry_run.push_back(std::string_view(value));
  }
  FieldErrors errors;
  Path path("propagationPolicy");
  if (options.propagation_policy.has_value()) {
    std::string policy = options.propagation_policy->str();
    if (options.orphan_dependents.has_value())
      errors.invalid(path, quoted(policy), "orphanDependents and deletionPropagation cannot be both set");
    if (policy != "Foreground" && policy != "Background" && policy != "Orphan")
      errors.not_supported(path, quoted(policy), {"Foreground", "Background", "Orphan", "nil"});
  }
  std::vector<std::string> dry_run;
  for (const schema::Str& value : options.dry_run) dry_run.push_back(value.str());
  check_dry_run(dry_run, errors);
  if (!errors.empty()) co_return invalid_status("meta.k8s.io", "DeleteOptions", "", errors);
  co_return options;
}

Status settle_problems(const WriteOptions& options, const schema::KindInfo& kind, const std::vector<std::string>& problems,
                       std::vector<std::string>& warnings) {
  if (problems.empty() || options.validation == FieldValidation::kIgnore) return {};
  if (options.validation == FieldValidation::kWarn) {
    warnings.insert(warnings.end(), problems.begin(), problems.end());
    return {};
  }
  std::string text = "strict decoding error: ";
  for (size_t i = 0; i < problems.size(); ++i) text += (i > 0 ? ", " : "") + problems[i];
  return bad_request(cannot_be_handled(kind.kind, kind.api_version, kind, text));
}

Status decode_body(schema::Encoding encoding, std::string_view body, const schema::KindInfo& kind, const WriteOptions& options, void* object,
                   std::vector<std::string>& warnings) {
  schema::DecodeReport report;
  Status status = schema::decode(encoding, body, *kind.type, object, &report);
  if (!status.ok()) {
    bool readable = encoding != schema::Encoding::kJson || schema::peek_json(body).ok();
    if (!readable)
      return bad_request("the object provided is unrecognized (must be of type " + std::string(kind.kind) + "): couldn't get version/kind; json parse error: " +
                         std::string(status.message()) + " (" + summary(body) + ")");
    Status type = check_type(report.type_meta, kind);
    if (!type.ok()) return type;
    return bad_request(cannot_be_handled(kind.kind, kind.api_version, kind, status.message()));
  }
  TRY(check_type(report.type_meta, kind));
  return settle_problems(options, kind, report.problems, warnings);
}

Result<bool> query_dry_run(const RequestContext& context) {
  auto options = parse_write_options(context, "CreateOptions");
  if (!options.ok()) return options.status();
  return options->dry_run;
}

Task<Status> read_object(RequestContext& context, const schema::KindInfo& kind, void* object) {
  auto options = parse_write_options(context, "CreateOptions");
  if (!options.ok()) co_return options.status();
  auto encoding = negotiate_input(context.request.headers.get("Content-Type"));
  if (!encoding.ok()) co_return encoding.status();
  auto body = co_await read_body(context);
  if (!body.ok()) co_return body.status();
  co_return decode_body(*encoding, *body, kind, *options, object, context.warnings);
}

}  // namespace knarr::apiserver
