// SPDX-License-Identifier: Apache-2.0
#include "apiserver/openapi/gnostic.h"

#include "schema/codec.h"

namespace knarr::apiserver::openapi {
namespace {

using json::Value;

// Writes protobuf fields; a message is a Writer of its own whose text becomes a length-delimited field.
class Writer {
 public:
  void text(int field, std::string_view value) {
    if (!value.empty()) bytes(field, value);
  }
  void text_member(int field, const Value& object, std::string_view name) {
    if (const Value* value = object.find(name)) text(field, value->as_string());
  }
  void flag_member(int field, const Value& object, std::string_view name) {
    if (const Value* value = object.find(name); value != nullptr && value->as_bool()) {
      varint(static_cast<uint64_t>(field) << 3);
      out_ += '\1';
    }
  }
  void texts_member(int field, const Value& object, std::string_view name) {
    if (const Value* list = object.find(name))
      for (const Value& item : list->items()) bytes(field, item.as_string());
  }
  void message(int field, const Writer& inner) { bytes(field, inner.out_); }
  std::string take() { return std::move(out_); }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
  }
  void bytes(int field, std::string_view value) {
    varint(static_cast<uint64_t>(field) << 3 | 2);
    varint(value.size());
    out_ += value;
  }
  std::string out_;
};

// Any: only its YAML text is read by anyone, and JSON is YAML. gnostic ends it with a line feed.
Writer any(const Value& value) {
  Writer out;
  std::string text = json::to_string(value);
  if (auto yaml = schema::json_to_yaml(text); yaml.ok()) text = *yaml;
  out.text(2, text);
  return out;
}

template <class Make>
Writer named(std::string_view name, const Make& value) {
  Writer out;
  out.text(1, name);
  out.message(2, value);
  return out;
}

void extensions(Writer& out, int field, const Value& object) {
  for (const auto& [name, value] : object.members())
    if (std::string_view(name).starts_with("x-")) out.message(field, named(name, any(value)));
}

Writer schema_message(const Value& schema);

Writer named_schemas(const Value& object) {
  Writer out;
  for (const auto& [name, value] : object.members()) out.message(1, named(name, schema_message(value)));
  return out;
}

Writer schema_message(const Value& schema) {
  Writer out;
  out.text_member(1, schema, "$ref");
  out.text_member(2, schema, "format");
  out.text_member(3, schema, "title");
  out.text_member(4, schema, "description");
  if (const Value* value = schema.find("default")) out.message(5, any(*value));
  out.flag_member(16, schema, "uniqueItems");
  out.texts_member(19, schema, "required");
  if (const Value* values = schema.find("enum"))
    for (const Value& value : values->items()) out.message(20, any(value));
  if (const Value* additional = schema.find("additionalProperties")) {
    Writer item;
    item.message(1, schema_message(*additional));
    out.message(21, item);
  }
  if (const Value* type = schema.find("type")) {
    Writer item;
    item.text(1, type->as_string());
    out.message(22, item);
  }
  if (const Value* items = schema.find("items")) {
    Writer item;
    item.message(1, schema_message(*items));
    out.message(23, item);
  }
  if (const Value* properties = schema.find("properties")) out.message(25, named_schemas(*properties));
  extensions(out, 31, schema);
  return out;
}

Writer parameter_message(const Value& parameter) {
  Writer wrapped;
  const std::string& in = parameter.at({"in"}).as_string();
  if (in == "body") {
    Writer body;
    body.text_member(1, parameter, "description");
    body.text_member(2, parameter, "name");
    body.text_member(3, parameter, "in");
    body.flag_member(4, parameter, "required");
    if (const Value* schema = parameter.find("schema")) body.message(5, schema_message(*schema));
    wrapped.message(1, body);
  } else {
    bool query = in == "query";
    Writer sub;
    sub.flag_member(1, parameter, "required");
    sub.text_member(2, parameter, "in");
    sub.text_member(3, parameter, "description");
    sub.text_member(4, parameter, "name");
    sub.text_member(query ? 6 : 5, parameter, "type");
    sub.flag_member(query ? 20 : 19, parameter, "uniqueItems");
    Writer non_body;
    non_body.message(query ? 3 : 4, sub);
    wrapped.message(2, non_body);
  }
  Writer item;
  item.message(1, wrapped);
  return item;
}

Writer responses_message(const Value& responses) {
  Writer out;
  for (const auto& [code, value] : responses.members()) {
    Writer response;
    response.text_member(1, value, "description");
    if (const Value* schema = value.find("schema")) {
      Writer item;
      item.message(1, schema_message(*schema));
      response.message(2, item);
    }
    Writer holder;
    holder.message(1, response);
    out.message(1, named(code, holder));
  }
  return out;
}

Writer operation_message(const Value& operation) {
  Writer out;
  out.texts_member(1, operation, "tags");
  out.text_member(3, operation, "description");
  out.text_member(5, operation, "operationId");
  out.texts_member(6, operation, "produces");
  out.texts_member(7, operation, "consumes");
  if (const Value* parameters = operation.find("parameters"))
    for (const Value& parameter : parameters->items()) out.message(8, parameter_message(parameter));
  if (const Value* responses = operation.find("responses")) out.message(9, responses_message(*responses));
  out.texts_member(10, operation, "schemes");
  extensions(out, 13, operation);
  return out;
}

Writer path_message(const Value& item) {
  static constexpr std::pair<std::string_view, int> kMethods[] = {{"get", 2}, {"put", 3}, {"post", 4}, {"delete", 5}, {"patch", 8}};
  Writer out;
  for (const auto& [method, field] : kMethods)
    if (const Value* operation = item.find(method)) out.message(field, operation_message(*operation));
  if (const Value* parameters = item.find("parameters"))
    for (const Value& parameter : parameters->items()) out.message(9, parameter_message(parameter));
  return out;
}

}  // namespace

std::string to_gnostic(const Value& swagger) {
  Writer document;
  document.text_member(1, swagger, "swagger");
  Writer info;
  info.text(1, swagger.at({"info", "title"}).as_string());
  info.text(2, swagger.at({"info", "version"}).as_string());
  document.message(2, info);
  Writer paths;
  for (const auto& [path, item] : swagger.at({"paths"}).members()) paths.message(2, named(path, path_message(item)));
  document.message(8, paths);
  document.message(9, named_schemas(swagger.at({"definitions"})));
  return document.take();
}

}  // namespace knarr::apiserver::openapi
