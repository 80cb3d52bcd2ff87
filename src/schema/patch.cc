// SPDX-License-Identifier: Apache-2.0
// JSON patch and JSON merge patch, with the behaviour and the wording of evanphx/json-patch v4,
// which the API server uses: "add" needs its parent, negative indexes count from the end, "replace"
// of an absent member adds it, merged-in objects lose their nulls.
#include "schema/patch.h"

#include <charconv>

#include "schema/json_reader.h"
#include "schema/object_editor.h"

namespace knarr::schema {
namespace {

using json::Value;

// How much all "copy" operations of one patch may add.
constexpr size_t kMaxCopied = 3 * 1024 * 1024;

Status unprocessable(const std::string& text) { return Status::make(422, "Invalid", text); }
Status missing(const std::string& text) { return unprocessable(text + ": missing value"); }
Status with_prefix(const std::string& prefix, const Status& status) {
  return unprocessable(prefix + ": " + std::string(status.message()));
}

std::string unescape_pointer(std::string_view token) {
  std::string out;
  for (size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~' && i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1')) {
      out += token[++i] == '0' ? '~' : '/';
    } else {
      out += token[i];
    }
  }
  return out;
}

Result<int64_t> parse_index(const std::string& key) {
  std::string_view text = key;
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  int64_t index = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error == std::errc::result_out_of_range)
    return unprocessable("strconv.Atoi: parsing " + go_quote(key) + ": value out of range");
  if (error != std::errc() || end != text.data() + text.size())
    return unprocessable("strconv.Atoi: parsing " + go_quote(key) + ": invalid syntax");
  return index;
}

// The index of an element (or, with `size` one more, of a place) counted from either end.
Result<size_t> resolve_index(const std::string& key, size_t size) {
  TRY_ASSIGN(int64_t index, parse_index(key));
  auto limit = static_cast<int64_t>(size);
  if (index >= limit || index < -limit)
    return unprocessable("Unable to access invalid index: " + std::to_string(index) +
                         ": invalid index referenced");
  return static_cast<size_t>(index < 0 ? index + limit : index);
}

// A list or object and the last token of a path into it.
struct Place {
  Value* container = nullptr;
  std::string key;
};

// The element that `key` names; null when an object has no such member.
Result<Value*> get(Value& container, const std::string& key) {
  if (container.is_object()) return container.find(key);
  TRY_ASSIGN(size_t index, resolve_index(key, container.items().size()));
  return &container.items()[index];
}

Place find_place(Value& doc, std::string_view path) {
  if (path.find('/') == std::string_view::npos || !(doc.is_object() || doc.is_array())) return {};
  // What comes before the first slash is not looked at.
  path.remove_prefix(path.find('/') + 1);
  Place place{&doc, ""};
  while (true) {
    size_t slash = path.find('/');
    std::string token = unescape_pointer(path.substr(0, slash));
    if (slash == std::string_view::npos) {
      place.key = std::move(token);
      return place;
    }
    Result<Value*> next = get(*place.container, token);
    if (!next.ok() || *next == nullptr || !((*next)->is_object() || (*next)->is_array())) return {};
    place.container = *next;
    path.remove_prefix(slash + 1);
  }
}

Status add(const Place& place, Value value) {
  Value& container = *place.container;
  if (container.is_object()) {
    container[place.key] = std::move(value);
    return {};
  }
  Value::Array& items = container.items();
  if (place.key == "-") {
    items.push_back(std::move(value));
    return {};
  }
  Result<int64_t> number = parse_index(place.key);
  if (!number.ok())
    return with_prefix("value was not a proper array index: '" + place.key + "'", number.status());
  TRY_ASSIGN(size_t index, resolve_index(place.key, items.size() + 1));
  items.insert(items.begin() + static_cast<ptrdiff_t>(index), std::move(value));
  return {};
}

Status remove(const Place& place) {
  Value& container = *place.container;
  if (container.is_object())
    return container.erase(place.key) ? Status()
                                      : missing("Unable to remove nonexistent key: " + place.key);
  TRY_ASSIGN(size_t index, resolve_index(place.key, container.items().size()));
  container.items().erase(container.items().begin() + static_cast<ptrdiff_t>(index));
  return {};
}

// One operation's members.
struct Operation {
  const Value& source;

  Result<std::string> text(std::string_view name) const {
    const Value* value = source.find(name);
    if (value != nullptr && value->is_string()) return value->as_string();
    if (value != nullptr && !value->is_null())
      return unprocessable("json: cannot unmarshal " + std::string(type_name(*value)) +
                           " into Go value of type string");
    return missing(name == "path" ? "operation missing path field"
                                  : "operation, missing from field");
  }
  Value value() const {
    const Value* value = source.find("value");
    return value == nullptr ? Value() : *value;
  }
  static std::string_view type_name(const Value& value) {
    return value.is_object()   ? "object"
           : value.is_array()  ? "array"
           : value.is_bool()   ? "bool"
           : value.is_string() ? "string"
                               : "number";
  }
};

class JsonPatcher {
 public:
  explicit JsonPatcher(Value doc) : doc_(std::move(doc)) {}

  Status apply(const Value& source) {
    Operation op{source};
    const Value* kind = source.find("op");
    std::string name = kind != nullptr && kind->is_string() ? kind->as_string() : "unknown";
    if (name == "add") return apply_add(op);
    if (name == "remove") return apply_remove(op);
    if (name == "replace") return apply_replace(op);
    if (name == "move") return apply_move(op);
    if (name == "test") return apply_test(op);
    if (name == "copy") return apply_copy(op);
    return unprocessable("Unexpected kind: " + name);
  }
  Value take() { return std::move(doc_); }

 private:
  Status apply_add(const Operation& op) {
    Result<std::string> path = op.text("path");
    if (!path.ok()) return missing("add operation failed to decode path");
    Place place = find_place(doc_, *path);
    if (place.container == nullptr)
      return missing("add operation does not apply: doc is missing path: \"" + *path + "\"");
    Status status = add(place, op.value());
    return status.ok() ? status : with_prefix("error in add for path: '" + *path + "'", status);
  }

  Status apply_remove(const Operation& op) {
    Result<std::string> path = op.text("path");
    if (!path.ok()) return missing("remove operation failed to decode path");
    Place place = find_place(doc_, *path);
    if (place.container == nullptr)
      return missing("remove operation does not apply: doc is missing path: \"" + *path + "\"");
    Status status = remove(place);
    return status.ok() ? status : with_prefix("error in remove for path: '" + *path + "'", status);
  }

  Status apply_replace(const Operation& op) {
    Result<std::string> path = op.text("path");
    if (!path.ok()) return with_prefix("replace operation failed to decode path", path.status());
    if (path->empty()) {
      Value value = op.value();
      // Upstream wraps no error when it refuses a scalar, and so passes over it.
      if (value.is_object() || value.is_array()) doc_ = std::move(value);
      return {};
    }
    Place place = find_place(doc_, *path);
    if (place.container == nullptr)
      return missing("replace operation does not apply: doc is missing path: " + *path);
    Result<Value*> target = get(*place.container, place.key);
    if (!target.ok())
      return missing("replace operation does not apply: doc is missing key: " + *path);
    if (*target != nullptr) {
      **target = op.value();
    } else {
      (*place.container)[place.key] = op.value();
    }
    return {};
  }

  Status apply_move(const Operation& op) {
    Result<std::string> from = op.text("from");
    if (!from.ok()) return with_prefix("move operation failed to decode from", from.status());
    Place source = find_place(doc_, *from);
    if (source.container == nullptr)
      return missing("move operation does not apply: doc is missing from path: " + *from);
    Result<Value*> found = get(*source.container, source.key);
    std::string prefix = "error in move for path: '" + source.key + "'";
    if (!found.ok()) return with_prefix(prefix, found.status());
    Value value = *found == nullptr ? Value() : **found;
    if (Status status = remove(source); !status.ok()) return with_prefix(prefix, status);
    Result<std::string> path = op.text("path");
    if (!path.ok()) return with_prefix("move operation failed to decode path", path.status());
    Place target = find_place(doc_, *path);
    if (target.container == nullptr)
      return missing("move operation does not apply: doc is missing destination path: " + *path);
    Status status = add(target, std::move(value));
    return status.ok() ? status : with_prefix("error in move for path: '" + *path + "'", status);
  }

  Status apply_test(const Operation& op) {
    Result<std::string> path = op.text("path");
    if (!path.ok()) return with_prefix("test operation failed to decode path", path.status());
    Status failed = unprocessable("testing value " + *path + " failed: test failed");
    if (path->empty()) return doc_ == op.value() ? Status() : failed;
    Place place = find_place(doc_, *path);
    if (place.container == nullptr)
      return missing("test operation does not apply: is missing path: " + *path);
    Result<Value*> found = get(*place.container, place.key);
    if (!found.ok()) return with_prefix("error in test for path: '" + *path + "'", found.status());
    return (*found == nullptr ? Value() : **found) == op.value() ? Status() : failed;
  }

  Status apply_copy(const Operation& op) {
    Result<std::string> from = op.text("from");
    if (!from.ok()) return with_prefix("copy operation failed to decode from", from.status());
    Place source = find_place(doc_, *from);
    if (source.container == nullptr)
      return missing("copy operation does not apply: doc is missing from path: " + *from);
    Result<Value*> found = get(*source.container, source.key);
    if (!found.ok()) return with_prefix("error in copy for from: '" + *from + "'", found.status());
    Value value = *found == nullptr ? Value() : **found;
    Result<std::string> path = op.text("path");
    if (!path.ok()) return missing("copy operation failed to decode path");
    Place target = find_place(doc_, *path);
    if (target.container == nullptr)
      return missing("copy operation does not apply: doc is missing destination path: " + *path);
    copied_ += json::to_string(value).size();
    if (copied_ > kMaxCopied)
      return unprocessable(
          "Unable to complete the copy, the accumulated size increase of copy operations is " +
          std::to_string(copied_) + ", exceeding the limit " + std::to_string(kMaxCopied));
    Status status = add(target, std::move(value));
    return status.ok() ? status : with_prefix("error while adding value during copy", status);
  }

  Value doc_;
  size_t copied_ = 0;
};

// Nulls in objects, however deep; those in lists stay.
void prune_nulls(Value& value) {
  if (value.is_object()) {
    std::erase_if(value.members(),
                  [](const Value::Member& member) { return member.second.is_null(); });
    for (Value::Member& member : value.members()) prune_nulls(member.second);
  } else if (value.is_array()) {
    for (Value& item : value.items()) prune_nulls(item);
  }
}

void merge_object(Value& doc, const Value& patch) {
  ObjectEditor editor(doc);
  for (const auto& [key, value] : patch.members()) {
    if (value.is_null()) {
      editor.erase(key);
      continue;
    }
    Value* current = editor.find(key);
    if (current != nullptr && current->is_object()) {
      if (value.is_object()) {
        merge_object(*current, value);
      } else {
        *current = value;
      }
      continue;
    }
    Value made = value;
    prune_nulls(made);
    editor.set(key, std::move(made));
  }
}

}  // namespace

Result<Value> apply_json_patch(Value doc, const Value& patch) {
  if (!patch.is_array())
    return Status::make(400, "BadRequest",
                        "error decoding patch: json: cannot unmarshal " +
                            std::string(Operation::type_name(patch)) +
                            " into Go value of type []handlers.jsonPatchOp");
  for (const Value& operation : patch.items()) {
    if (operation.is_object()) continue;
    return Status::make(400, "BadRequest",
                        "error decoding patch: json: cannot unmarshal " +
                            std::string(Operation::type_name(operation)) +
                            " into Go value of type handlers.jsonPatchOp");
  }
  size_t count = patch.items().size();
  if (count > kMaxJsonPatchOperations)
    return Status::make(
        413, "RequestEntityTooLarge",
        "Request entity too large: The allowed maximum operations in a JSON patch is " +
            std::to_string(kMaxJsonPatchOperations) + ", got " + std::to_string(count));
  JsonPatcher patcher(std::move(doc));
  for (const Value& operation : patch.items()) TRY(patcher.apply(operation));
  return patcher.take();
}

Value apply_merge_patch(Value doc, const Value& patch) {
  if (doc.is_object() && patch.is_object()) {
    merge_object(doc, patch);
    return doc;
  }
  Value made = patch;
  prune_nulls(made);
  return made;
}

}  // namespace knarr::schema
