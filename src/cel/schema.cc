// SPDX-License-Identifier: Apache-2.0
#include "cel/schema.h"

#include <algorithm>

#include "cel/escape.h"

namespace knarr::cel {
namespace {

// What fits into a request decides how large data without a limit may be. The numbers are
// upstream's.
constexpr int64_t kMaxRequestBytes = 3 * 1024 * 1024;
constexpr int64_t kMaxText = kMaxRequestBytes - 2;
constexpr int64_t kDurationText = 32, kMinDurationText = 3, kDateText = 12, kMaxDateTimeText = 32,
                  kMinDateTimeText = 21;
constexpr int64_t kMinText = 2, kMinBool = 4, kMinNumber = 1, kMinContainer = 2;

Schema::Type type_from(std::string_view text) {
  using Type = Schema::Type;
  constexpr std::pair<std::string_view, Type> kTypes[] = {
      {"", Type::kNone},          {"object", Type::kObject}, {"array", Type::kArray},
      {"string", Type::kString},  {"number", Type::kNumber}, {"integer", Type::kInteger},
      {"boolean", Type::kBoolean}};
  for (const auto& [name, type] : kTypes)
    if (name == text) return type;
  return Type::kOther;
}

Schema::Format format_from(std::string_view text) {
  using Format = Schema::Format;
  if (text == "byte") return Format::kByte;
  if (text == "date") return Format::kDate;
  if (text == "date-time") return Format::kDateTime;
  if (text == "duration") return Format::kDuration;
  return Format::kNone;
}

Schema::ListType list_type_from(std::string_view text) {
  using ListType = Schema::ListType;
  if (text.empty()) return ListType::kNone;
  return text == "map"      ? ListType::kMap
         : text == "set"    ? ListType::kSet
         : text == "atomic" ? ListType::kAtomic
                            : ListType::kOther;
}

std::vector<std::string> texts(const json::Value& list) {
  std::vector<std::string> out;
  for (const json::Value& item : list.items()) out.push_back(item.as_string());
  return out;
}

std::optional<int64_t> number(const json::Value& schema, std::string_view key) {
  const json::Value* found = schema.find(key);
  if (found == nullptr || !found->is_number()) return std::nullopt;
  return found->as_int();
}

}  // namespace

std::unique_ptr<Schema> Schema::from_json(const json::Value& from) {
  auto made = std::make_unique<Schema>();
  made->type_text = from.at({"type"}).as_string();
  made->type = type_from(made->type_text);
  made->format = format_from(from.at({"format"}).as_string());
  made->list_type_text = from.at({"x-kubernetes-list-type"}).as_string();
  made->list_type = list_type_from(made->list_type_text);
  made->nullable = from.at({"nullable"}).as_bool();
  made->int_or_string = from.at({"x-kubernetes-int-or-string"}).as_bool();
  made->preserve_unknown = from.at({"x-kubernetes-preserve-unknown-fields"}).as_bool();
  made->embedded_resource = from.at({"x-kubernetes-embedded-resource"}).as_bool();
  made->has_default = from.find("default") != nullptr;
  if (const json::Value* properties = from.find("properties");
      properties != nullptr && properties->is_object()) {
    made->has_properties = true;
    for (const auto& [name, schema] : properties->members())
      made->properties[name] = from_json(schema);
  }
  if (const json::Value* items = from.find("items"); items != nullptr && items->is_object())
    made->items = from_json(*items);
  if (const json::Value* rest = from.find("additionalProperties");
      rest != nullptr && rest->is_object())
    made->additional = from_json(*rest);
  made->required = texts(from.at({"required"}));
  made->list_keys = texts(from.at({"x-kubernetes-list-map-keys"}));
  made->max_items = number(from, "maxItems");
  made->max_length = number(from, "maxLength");
  made->max_properties = number(from, "maxProperties");
  if (made->embedded_resource) made->add_type_and_object_meta();
  return made;
}

const Schema* Schema::member(std::string_view name) const {
  if (!has_properties) return additional.get();
  auto found = properties.find(name);
  return found == properties.end() ? nullptr : found->second.get();
}

void Schema::add_type_and_object_meta() {
  auto text = [] {
    auto made = std::make_unique<Schema>();
    made->type = Type::kString;
    made->type_text = "string";
    return made;
  };
  auto has = [](const Schema& in, std::string_view name, Type type) {
    auto found = in.properties.find(name);
    return found != in.properties.end() && found->second->type == type;
  };
  if (has(*this, "kind", Type::kString) && has(*this, "apiVersion", Type::kString) &&
      has(*this, "metadata", Type::kObject)) {
    const Schema& meta = *properties.find("metadata")->second;
    if (has(meta, "name", Type::kString) && has(meta, "generateName", Type::kString)) return;
  }
  has_properties = true;
  properties["kind"] = text();
  properties["apiVersion"] = text();
  auto meta = std::make_unique<Schema>();
  meta->type = Type::kObject;
  meta->type_text = "object";
  meta->has_properties = true;
  meta->properties["name"] = text();
  meta->properties["generateName"] = text();
  properties["metadata"] = std::move(meta);
}

namespace {

class Declarer {
 public:
  explicit Declarer(TypePool& pool) : pool_(pool) {}

  const DeclType* declare(const Schema& schema, const std::string& name) {
    if (schema.int_or_string) return simple(types::kDyn, 1, kMaxText);
    switch (schema.type) {
      case Schema::Type::kArray:
        return list(schema, name);
      case Schema::Type::kObject:
        return schema.additional != nullptr ? map(schema, name) : object(schema, name);
      case Schema::Type::kString:
        return text(schema);
      case Schema::Type::kBoolean:
        return simple(types::kBool, kMinBool, 0);
      case Schema::Type::kNumber:
        return simple(types::kDouble, kMinNumber, 0);
      case Schema::Type::kInteger:
        return simple(types::kInt, kMinNumber, 0);
      default:
        return nullptr;
    }
  }

 private:
  static int64_t at_least_zero(int64_t n) { return std::max<int64_t>(n, 0); }

  DeclType* simple(const Type& type, int64_t min_size, int64_t max_elements) {
    DeclType* made = pool_.decl();
    made->type = &type;
    made->min_serialized_size = min_size;
    made->max_elements = max_elements;
    return made;
  }

  const DeclType* list(const Schema& schema, const std::string& name) {
    if (schema.items == nullptr) return nullptr;
    const DeclType* element = declare(*schema.items, name + ".@idx");
    if (element == nullptr) return nullptr;
    int64_t most = schema.max_items ? at_least_zero(*schema.max_items)
                                    : kMaxText / (element->min_serialized_size + 1);
    DeclType* made = simple(*pool_.list(element->type), kMinContainer, most);
    made->element = element;
    return made;
  }

  const DeclType* map(const Schema& schema, const std::string& name) {
    const DeclType* element = declare(*schema.additional, name + ".@elem");
    if (element == nullptr) return nullptr;
    // A member takes at least six bytes beside its value, by upstream's count: its quoted key, a
    // colon and a comma.
    int64_t most = schema.max_properties ? at_least_zero(*schema.max_properties)
                                         : kMaxText / (element->min_serialized_size + 6);
    DeclType* made = simple(*pool_.map(&types::kString, element->type), kMinContainer, most);
    made->key = simple(types::kString, kMinText, 0);
    made->element = element;
    return made;
  }

  const DeclType* object(const Schema& schema, const std::string& name) {
    DeclType* made = pool_.decl();
    made->min_serialized_size = kMinContainer;
    for (const auto& [field, property] : schema.properties) {
      std::optional<std::string> escaped = escape_field(field);
      const DeclType* type = declare(*property, name + "." + escaped.value_or(field));
      if (type == nullptr) continue;
      if (escaped) made->fields[*escaped] = type;
      bool is_required =
          std::find(schema.required.begin(), schema.required.end(), field) != schema.required.end();
      if (is_required && !property->has_default)
        made->min_serialized_size +=
            static_cast<int64_t>(field.size()) + type->min_serialized_size + 4;
    }
    made->type = pool_.object(name, made);
    return made;
  }

  const DeclType* text(const Schema& schema) {
    switch (schema.format) {
      case Schema::Format::kByte:
        return simple(types::kBytes, kMinText,
                      schema.max_length ? at_least_zero(*schema.max_length) : kMaxText);
      case Schema::Format::kDuration:
        return simple(types::kDuration, kMinDurationText, kDurationText);
      case Schema::Format::kDate:
        return simple(types::kTimestamp, kDateText, kDateText);
      case Schema::Format::kDateTime:
        return simple(types::kTimestamp, kMinDateTimeText, kMaxDateTimeText);
      case Schema::Format::kNone:
        break;
    }
    // maxLength counts code points, sizes here are bytes.
    return simple(types::kString, kMinText,
                  schema.max_length ? at_least_zero(*schema.max_length) * 4 : kMaxText);
  }

  TypePool& pool_;
};

}  // namespace

const DeclType* declare(const Schema& schema, std::string_view name, TypePool& pool) {
  return Declarer(pool).declare(schema, std::string(name));
}

}  // namespace knarr::cel
