// SPDX-License-Identifier: Apache-2.0
#include "apiserver/openapi/definitions.h"

#include <algorithm>
#include <map>

#include "api/meta_v1.h"

namespace knarr::apiserver::openapi {
namespace {

using schema::Field;
using schema::FieldMeta;
using schema::Kind;
using schema::Shape;
using schema::Type;

constexpr std::string_view kQuantity = "io.k8s.apimachinery.pkg.api.resource.Quantity";
constexpr std::string_view kIntOrString = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
constexpr std::string_view kTime = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
constexpr std::string_view kMicroTime = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
constexpr std::string_view kDuration = "io.k8s.apimachinery.pkg.apis.meta.v1.Duration";
constexpr std::string_view kRawExtension = "io.k8s.apimachinery.pkg.runtime.RawExtension";
constexpr std::string_view kFieldsV1 = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1";
constexpr std::string_view kJson = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON";

struct NamedType {
  std::string_view name, type, format, description;
};
constexpr NamedType kNamed[] = {
    {kQuantity, "string", "", "An amount of a resource: a number with an optional suffix (m, k, M, G, Ki, Mi, Gi, e3 ...)."},
    {kIntOrString, "string", "int-or-string", "A number or a string, such as a port or its name, or a percentage."},
    {kTime, "string", "date-time", "A moment, RFC 3339, to the second."},
    {kMicroTime, "string", "date-time", "A moment, RFC 3339, to the microsecond."},
    {kDuration, "string", "", "A length of time, such as 1h30m."},
    {kRawExtension, "object", "", "An object of any kind."},
    {kFieldsV1, "object", "", "A set of fields as a trie of f:NAME, k:KEYS, v:VALUE and i:INDEX members."},
    {kJson, "", "", "Any JSON value."},
    {kPatchName, "object", "", "The body of a patch."},
};

std::string_view named_kind(Kind kind) {
  switch (kind) {
    case Kind::kQuantity: return kQuantity;
    case Kind::kIntOrString: return kIntOrString;
    case Kind::kTime: return kTime;
    case Kind::kMicroTime: return kMicroTime;
    case Kind::kDuration: return kDuration;
    case Kind::kRawExtension: return kRawExtension;
    case Kind::kFieldsV1: return kFieldsV1;
    case Kind::kJson: return kJson;
    default: return {};
  }
}

json::Value plain_schema(Kind kind) {
  json::Value out = json::Value::object();
  switch (kind) {
    case Kind::kBool: out["type"] = "boolean"; break;
    case Kind::kInt32:
    case Kind::kUint32: out["type"] = "integer", out["format"] = "int32"; break;
    case Kind::kInt64:
    case Kind::kUint64: out["type"] = "integer", out["format"] = "int64"; break;
    case Kind::kFloat:
    case Kind::kDouble: out["type"] = "number", out["format"] = "double"; break;
    case Kind::kBytes: out["type"] = "string", out["format"] = "byte"; break;
    case Kind::kStringList:
      out["type"] = "array";
      out["items"]["type"] = "string";
      break;
    default: out["type"] = "string";
  }
  return out;
}

// What v3 says of a plain field that is absent.
json::Value zero_default(Kind kind) {
  switch (kind) {
    case Kind::kBool: return false;
    case Kind::kInt32:
    case Kind::kInt64:
    case Kind::kUint32:
    case Kind::kUint64:
    case Kind::kFloat:
    case Kind::kDouble: return 0;
    case Kind::kString: return "";
    default: return json::Value::object();
  }
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    size_t comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return parts;
}

void add_extensions(const FieldMeta& meta, const Type& type, Shape shape, json::Value& out) {
  const schema::TypeSet& set = *type.set;
  static constexpr std::string_view kListTypes[] = {"", "atomic", "set", "map"};
  if (meta.list_type != FieldMeta::kNone)
    out[shape == Shape::kList ? "x-kubernetes-list-type" : "x-kubernetes-map-type"] = kListTypes[meta.list_type];
  for (std::string_view key : split(set.text(meta.list_keys))) out["x-kubernetes-list-map-keys"].push_back(key);
  if (meta.merge_key != 0) out["x-kubernetes-patch-merge-key"] = set.text(meta.merge_key);
  if (meta.patch_strategy != 0) {
    bool merge = meta.patch_strategy & FieldMeta::kMerge, retain = meta.patch_strategy & FieldMeta::kRetainKeys;
    out["x-kubernetes-patch-strategy"] = merge && retain ? "merge,retainKeys" : merge ? "merge" : "retainKeys";
  }
}

json::Value gvk(std::string_view group, std::string_view version, std::string_view kind) {
  json::Value out = json::Value::object();
  out["group"] = group;
  out["kind"] = kind;
  out["version"] = version;
  return out;
}

// DeleteOptions and WatchEvent belong to every group-version that is served.
bool is_everywhere(std::string_view name) { return name == "DeleteOptions" || name == "WatchEvent"; }

json::Value kinds_of(const Type& type) {
  json::Value out = json::Value::array();
  if (is_everywhere(type.type_name())) {
    std::string last;
    for (const schema::Resource& resource : schema::builtin_resources()) {
      if (!resource.served || last == resource.api_version) continue;
      last = resource.api_version;
      out.push_back(gvk(resource.group, resource.version, type.type_name()));
    }
    return out;
  }
  for (const schema::KindInfo& kind : schema::builtin_kinds())
    if (kind.type == &type) out.push_back(gvk(kind.group == "meta" ? "" : kind.group, kind.version, kind.kind));
  return out;
}

}  // namespace

void Definitions::add(const Type& type) {
  if (seen_.insert(&type).second) pending_.push_back(&type);
}

void Definitions::add_named(std::string_view name) {
  if (std::find(named_.begin(), named_.end(), name) == named_.end()) named_.emplace_back(name);
}

json::Value Definitions::reference(const Type& type) {
  add(type);
  json::Value out = json::Value::object();
  out["$ref"] = (dialect_ == Dialect::kV2 ? "#/definitions/" : "#/components/schemas/") + std::string(type.set->text(type.openapi_name));
  return out;
}

json::Value Definitions::reference(std::string_view name) {
  add_named(name);
  json::Value out = json::Value::object();
  out["$ref"] = (dialect_ == Dialect::kV2 ? "#/definitions/" : "#/components/schemas/") + std::string(name);
  return out;
}

json::Value Definitions::named_schema(std::string_view name) const {
  json::Value out = json::Value::object();
  for (const NamedType& named : kNamed) {
    if (named.name != name) continue;
    out["description"] = named.description;
    bool choice = dialect_ == Dialect::kV3 && (name == kQuantity || name == kIntOrString);
    if (choice) {
      json::Value number = json::Value::object(), text = json::Value::object();
      number["type"] = name == kQuantity ? "number" : "integer";
      text["type"] = "string";
      out["oneOf"].push_back(name == kQuantity ? text : number);
      out["oneOf"].push_back(name == kQuantity ? number : text);
    } else if (!named.type.empty()) {
      out["type"] = named.type;
    }
    if (!named.format.empty()) out["format"] = named.format;
  }
  return out;
}

// One value: a field without its list or map around it.
json::Value Definitions::value_schema(const Type& type, const Field& field, bool element) {
  json::Value reference_value;
  if (field.kind == Kind::kStruct) {
    reference_value = reference(schema::field_type(type, field));
  } else if (std::string_view name = named_kind(field.kind); !name.empty()) {
    reference_value = reference(name);
  } else {
    json::Value out = plain_schema(field.kind);
    if (dialect_ == Dialect::kV3 && element && field.kind != Kind::kStringList && field.kind != Kind::kBytes) out["default"] = zero_default(field.kind);
    return out;
  }
  if (dialect_ == Dialect::kV2) return reference_value;
  json::Value out = json::Value::object();
  out["allOf"].push_back(std::move(reference_value));
  if (element) out["default"] = json::Value::object();
  return out;
}

json::Value Definitions::field_schema(const Type& type, const Field& field) {
  const FieldMeta& meta = type.set->meta(field);
  json::Value out;
  switch (field.shape) {
    case Shape::kList:
      out["type"] = "array";
      out["items"] = value_schema(type, field, true);
      break;
    case Shape::kMap:
      out["type"] = "object";
      out["additionalProperties"] = value_schema(type, field, true);
      break;
    default: {
      out = value_schema(type, field, false);
      bool optional = field.shape == Shape::kOptional;
      bool required = field.flags & schema::kRequired;
      bool complex = field.kind == Kind::kStruct || !named_kind(field.kind).empty();
      // The struct's default {} follows Go: a plain struct is never absent; a plain scalar has a default when it is required.
      if (dialect_ == Dialect::kV3 && !optional && field.kind != Kind::kBytes && field.kind != Kind::kRawExtension && field.kind != Kind::kJson &&
          (complex || required))
        out["default"] = zero_default(complex ? Kind::kStruct : field.kind);
    }
  }
  if (meta.default_json != 0 && (field.kind == Kind::kString || field.kind == Kind::kBool || field.kind == Kind::kInt32 || field.kind == Kind::kInt64)) {
    if (auto value = json::parse(type.set->text(meta.default_json)); value.ok()) out["default"] = std::move(*value);
  }
  std::string_view description = type.set->text(meta.description);
  if (!description.empty()) out["description"] = description;
  add_extensions(meta, type, field.shape, out);
  return out;
}

void Definitions::add_fields(const Type& type, json::Value& properties, std::vector<std::string>& required) {
  for (const Field& field : type.fields()) {
    if (field.flags & schema::kInline) {
      add_fields(schema::field_type(type, field), properties, required);
      continue;
    }
    std::string name(schema::field_name(type, field));
    properties[name] = field_schema(type, field);
    if (field.flags & schema::kRequired) required.push_back(name);
  }
}

json::Value Definitions::schema_of(const Type& type) {
  json::Value out = json::Value::object();
  std::string_view description = type.set->text(type.description);
  out["description"] = description.empty() ? std::string(type.type_name()) : std::string(description);
  // A value or another form of it: nothing can be said that holds for both.
  if (type.flags & (schema::kOrBool | schema::kOrArray | schema::kOrStringArray)) return out;
  json::Value properties = json::Value::object();
  std::vector<std::string> required;
  if (type.flags & schema::kHasTypeMeta) {
    properties["apiVersion"]["description"] = "Group and version of this object's schema, as group/version, or v1 for the core group.";
    properties["apiVersion"]["type"] = "string";
    properties["kind"]["description"] = "Name of this object's schema.";
    properties["kind"]["type"] = "string";
  }
  add_fields(type, properties, required);
  if (!properties.members().empty()) out["properties"] = std::move(properties);
  std::sort(required.begin(), required.end());
  for (std::string& name : required) out["required"].push_back(std::move(name));
  out["type"] = "object";
  if (type.flags & schema::kAtomicStruct) out["x-kubernetes-map-type"] = "atomic";
  if (type.flags & schema::kHasTypeMeta) {
    json::Value kinds = kinds_of(type);
    if (!kinds.items().empty()) out["x-kubernetes-group-version-kind"] = std::move(kinds);
  }
  return out;
}

json::Value Definitions::take() {
  std::map<std::string, json::Value> sorted;
  while (!pending_.empty()) {
    const Type* type = pending_.back();
    pending_.pop_back();
    sorted[std::string(type->set->text(type->openapi_name))] = schema_of(*type);
  }
  for (const std::string& name : named_) sorted[name] = named_schema(name);
  json::Value out = json::Value::object();
  for (auto& [name, schema] : sorted) out.members().emplace_back(name, std::move(schema));
  return out;
}

}  // namespace knarr::apiserver::openapi
