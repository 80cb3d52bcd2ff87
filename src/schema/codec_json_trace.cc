// SPDX-License-Identifier: Apache-2.0
#include "schema/codec_json_trace.h"

#include <vector>

#include "schema/codec.h"
#include "schema/json_reader.h"

namespace knarr::schema {

std::string path_text(const Frame* innermost) {
  std::vector<const Frame*> frames;
  for (const Frame* frame = innermost; frame != nullptr; frame = frame->outer)
    frames.push_back(frame);
  std::string path;
  for (size_t i = frames.size(); i-- > 0;) {
    const Frame& frame = *frames[i];
    if (frame.kind == Frame::kList) {
      path += "[" + std::to_string(frame.index) + "]";
      continue;
    }
    if (!path.empty()) path += '.';
    path += frame.key;
  }
  return path;
}

std::string mismatch_text(const Frame* innermost, std::string_view found, std::string_view wanted) {
  // As in Go, list indexes and map keys are not part of this path.
  std::string path;
  const Type* type = nullptr;
  for (const Frame* frame = innermost; frame != nullptr; frame = frame->outer) {
    if (frame->kind != Frame::kStruct) continue;
    if (type == nullptr) type = frame->type;
    path = path.empty() ? std::string(frame->key) : std::string(frame->key) + "." + path;
  }
  std::string text = "json: cannot unmarshal " + std::string(found) + " into Go ";
  if (type == nullptr) {
    text += "value of type ";
  } else {
    text += "struct field " + std::string(type->type_name()) + "." + path + " of type ";
  }
  return text += wanted;
}

std::string go_name(Shape shape, Kind kind, const Type* inner) {
  std::string prefix = shape == Shape::kList ? "[]" : shape == Shape::kMap ? "map[string]" : "";
  switch (kind) {
    case Kind::kStruct: {
      std::string_view full = inner->set->text(inner->openapi_name);
      size_t dot = full.rfind('.');
      size_t before = dot == std::string_view::npos || dot == 0 ? dot : full.rfind('.', dot - 1);
      if (before != std::string_view::npos) full.remove_prefix(before + 1);
      return prefix + std::string(full.empty() ? inner->type_name() : full);
    }
    case Kind::kQuantity:
      return shape == Shape::kMap ? "v1.ResourceList" : prefix + "resource.Quantity";
    case Kind::kString:
      return prefix + "string";
    case Kind::kBytes:
      return prefix + "[]uint8";
    case Kind::kInt32:
      return prefix + "int32";
    case Kind::kInt64:
      return prefix + "int64";
    case Kind::kUint32:
      return prefix + "uint32";
    case Kind::kUint64:
      return prefix + "uint64";
    case Kind::kBool:
      return prefix + "bool";
    case Kind::kStringList:
      return prefix + "[]string";
    case Kind::kRawExtension:
      return prefix + "runtime.RawExtension";
    case Kind::kIntOrString:
      return prefix + "intstr.IntOrString";
    default:
      return prefix + "interface {}";
  }
}

std::string_view json_value_name(char first) {
  switch (first) {
    case '{':
      return "object";
    case '[':
      return "array";
    case '"':
      return "string";
    case 't':
    case 'f':
      return "bool";
    default:
      return "number";
  }
}

Result<TypeMeta> peek_json(std::string_view text) {
  auto failure = [](const std::string& reason) {
    return Status::make(400, "BadRequest",
                        "couldn't get version/kind; json parse error: " + reason);
  };
  JsonReader reader(text);
  TypeMeta meta;
  std::string mismatch;
  std::string_view key, value;
  if (reader.peek() != '{') {
    char c = reader.peek();
    if (reader.skip_value() && reader.finish() && c == 'n') return meta;
    if (reader.failed()) return failure(reader.error_text());
    std::string_view found = json_value_name(c);
    return failure("json: cannot unmarshal " + std::string(found) +
                   " into Go value of type struct { APIVersion string "
                   "\"json:\\\"apiVersion,omitempty\\\"\"; Kind string "
                   "\"json:\\\"kind,omitempty\\\"\" }");
  }
  reader.begin_object();
  while (reader.next_key(key)) {
    bool is_kind = key == "kind";
    if (!is_kind && key != "apiVersion") {
      reader.skip_value();
      continue;
    }
    char c = reader.peek();
    if (c == '"') {
      if (reader.read_string(value)) (is_kind ? meta.kind : meta.api_version) = value;
      continue;
    }
    if (reader.skip_value() && c != 'n' && mismatch.empty()) {
      std::string_view found = json_value_name(c);
      mismatch = "json: cannot unmarshal " + std::string(found) + " into Go struct field ." +
                 (is_kind ? "kind" : "apiVersion") + " of type string";
    }
  }
  reader.finish();
  if (reader.failed()) return failure(reader.error_text());
  if (!mismatch.empty()) return failure(mismatch);
  return meta;
}

}  // namespace knarr::schema
