// SPDX-License-Identifier: Apache-2.0
#include "api/core_v1.h"
#include "apiserver/storage/cached_object.h"

namespace knarr::apiserver {
namespace {

using schema::Field;
using schema::Kind;
using schema::Shape;

// The fields on the way to a dotted JSON name; empty when there is no such plain path.
std::vector<const Field*> resolve(const schema::Type& root, std::string_view name) {
  std::vector<const Field*> path;
  const schema::Type* type = &root;
  while (true) {
    size_t dot = name.find('.');
    const Field* field = schema::find_field(*type, name.substr(0, dot));
    if (field == nullptr || field->shape == Shape::kList || field->shape == Shape::kMap) return {};
    path.push_back(field);
    if (dot == std::string_view::npos) return path;
    if (field->kind != Kind::kStruct) return {};
    type = &schema::field_type(*type, *field);
    name.remove_prefix(dot + 1);
  }
}

std::string scalar_text(Kind kind, const void* value) {
  switch (kind) {
    case Kind::kBool: return *static_cast<const bool*>(value) ? "true" : "false";
    case Kind::kInt32: return std::to_string(*static_cast<const int32_t*>(value));
    case Kind::kInt64: return std::to_string(*static_cast<const int64_t*>(value));
    case Kind::kString: return static_cast<const schema::Str*>(value)->str();
    default: return {};
  }
}

// Selectors whose name is not where the value lies.
std::string_view field_behind(const schema::Resource& resource, std::string_view name) {
  if (resource.plural == "pods" && name == "spec.host") return "spec.nodeName";
  if (resource.plural == "jobs" && name == "status.successful") return "status.succeeded";
  return name;
}

}  // namespace

ObjectPlan::ObjectPlan(const schema::Resource& resource) : resource_(resource) {
  for (std::string_view name : resource.selectors) fields_.push_back({name, resolve(*resource.type, field_behind(resource, name))});
}

int ObjectPlan::field_index(std::string_view name) const {
  for (size_t i = 0; i < fields_.size(); ++i)
    if (fields_[i].name == name) return static_cast<int>(i);
  return -1;
}

std::string ObjectPlan::value_of(const Selectable& selectable, const void* object) const {
  if (selectable.name == "source" && resource_.type == &api::core_v1::Event::table()) {
    const auto& event = *static_cast<const api::core_v1::Event*>(object);
    return event.source.component.empty() ? event.reporting_component.str() : event.source.component.str();
  }
  for (size_t i = 0; i < selectable.path.size(); ++i) {
    const Field& field = *selectable.path[i];
    object = schema::field_at(object, field);
    if (field.shape == Shape::kOptional) object = schema::optional_value(field.kind, object);
    if (object == nullptr) return {};
    if (i + 1 == selectable.path.size()) return scalar_text(field.kind, object);
  }
  return {};
}

std::string ObjectPlan::extract_fields(const void* object) const {
  std::string packed;
  for (const Selectable& selectable : fields_) {
    packed += value_of(selectable, object);
    packed += '\0';
  }
  return packed;
}

std::string storage_field_name(const schema::Resource& requested, std::string_view name) {
  if (requested.group != "events.k8s.io") return std::string(name);
  constexpr std::string_view kRegarding = "regarding.";
  if (name.starts_with(kRegarding)) return "involvedObject." + std::string(name.substr(kRegarding.size()));
  if (name == "reportingController") return "reportingComponent";
  return std::string(name);
}

}  // namespace knarr::apiserver
