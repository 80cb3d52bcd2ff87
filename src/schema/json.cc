// SPDX-License-Identifier: Apache-2.0
#include "schema/json.h"

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "schema/json_reader.h"
#include "schema/json_text.h"
#include "schema/utf8.h"

namespace knarr::json {

using schema::JsonReader;

namespace {
// All that walks trees recurses: this deep at most.
constexpr int kMaxTreeDepth = 2000;

template <class T>
const T& none() {
  static const T kNone;
  return kNone;
}
}  // namespace

int64_t Value::cut(double number) {
  constexpr double kLimit = 9223372036854775808.0;
  if (std::isnan(number)) return 0;
  if (number >= kLimit) return INT64_MAX;
  return number < -kLimit ? INT64_MIN : static_cast<int64_t>(number);
}

void Value::copy_from(const Value& other) {
  switch (other.type_) {
    case Type::kString:
      string_ = new std::string(*other.string_);
      break;
    case Type::kArray:
      array_ = new Array(*other.array_);
      break;
    case Type::kObject:
      members_ = new Members(*other.members_);
      break;
    default:
      int_ = other.int_;
  }
  type_ = other.type_;
}

void Value::destroy() {
  if (type_ == Type::kString) delete string_;
  if (type_ == Type::kArray) delete array_;
  if (type_ == Type::kObject) delete members_;
}

const std::string& Value::as_string() const {
  return type_ == Type::kString ? *string_ : none<std::string>();
}
const Value::Array& Value::items() const { return type_ == Type::kArray ? *array_ : none<Array>(); }
const Value::Members& Value::members() const {
  return type_ == Type::kObject ? *members_ : none<Members>();
}

Value::Array& Value::items() {
  if (type_ != Type::kArray) {
    auto* made = new Array();
    *this = Value();
    array_ = made;
    type_ = Type::kArray;
  }
  return *array_;
}

Value::Members& Value::members() {
  if (type_ != Type::kObject) {
    auto* made = new Members();
    *this = Value();
    members_ = made;
    type_ = Type::kObject;
  }
  return *members_;
}

const Value* Value::find(std::string_view key) const {
  if (type_ != Type::kObject) return nullptr;
  for (const Member& member : *members_)
    if (member.first == key) return &member.second;
  return nullptr;
}

Value& Value::operator[](std::string_view key) {
  if (Value* found = find(key)) return *found;
  return members().emplace_back(std::string(key), Value()).second;
}

bool Value::erase(std::string_view key) {
  if (type_ != Type::kObject) return false;
  for (auto at = members_->begin(); at != members_->end(); ++at) {
    if (at->first != key) continue;
    members_->erase(at);
    return true;
  }
  return false;
}

const Value& Value::at(std::initializer_list<std::string_view> path) const {
  static const Value kNone{};
  const Value* value = this;
  for (std::string_view key : path) {
    value = value->find(key);
    if (value == nullptr) return kNone;
  }
  return *value;
}

bool operator==(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_int() && b.is_int()) return a.int_ == b.int_;
    return a.as_double() == b.as_double();
  }
  if (a.type_ != b.type_) return false;
  switch (a.type_) {
    case Value::Type::kBool:
      return a.bool_ == b.bool_;
    case Value::Type::kString:
      return *a.string_ == *b.string_;
    case Value::Type::kArray:
      return *a.array_ == *b.array_;
    case Value::Type::kObject: {
      if (a.members_->size() != b.members_->size()) return false;
      for (size_t i = 0; i < a.members_->size(); ++i) {
        const Value::Member& member = (*a.members_)[i];
        const Value::Member& same_place = (*b.members_)[i];
        // Mostly the order is the same.
        const Value* other =
            same_place.first == member.first ? &same_place.second : b.find(member.first);
        if (other == nullptr || !(member.second == *other)) return false;
      }
      return true;
    }
    default:
      return true;
  }
}

namespace {

// Objects above this many members look for duplicates in an index instead of by scanning.
constexpr size_t kScanLimit = 16;

class TreeParser {
 public:
  TreeParser(std::string_view text, std::vector<std::string>* duplicates)
      : reader_(text), duplicates_(duplicates) {}

  Result<Value> run() {
    Value value;
    if (!parse_value(value) || !reader_.finish()) return reader_.status();
    if (!too_big_.empty()) return Status::make(400, "BadRequest", too_big_);
    return value;
  }

 private:
  bool parse_value(Value& value) {
    std::string_view text;
    bool flag;
    switch (reader_.peek()) {
      case '{':
        return parse_object(value);
      case '[':
        return parse_array(value);
      case '"':
        if (!reader_.read_string(text)) return false;
        value = Value(text);
        return true;
      case 't':
      case 'f':
        if (!reader_.read_bool(flag)) return false;
        value = Value(flag);
        return true;
      case 'n':
        value = Value();
        return reader_.read_null();
      default:
        if (!reader_.read_number(text)) return false;
        parse_number(value, text);
        return true;
    }
  }

  // Integers that fit stay integers, as sigs.k8s.io/json does; "1e3" and "1.0" are doubles.
  void parse_number(Value& value, std::string_view text) {
    int64_t integer = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), integer);
    if (error == std::errc() && end == text.data() + text.size()) {
      value = Value(integer);
      return;
    }
    double number = 0;
    if (!schema::parse_double(text, number) && too_big_.empty())
      too_big_ =
          "json: cannot unmarshal number " + std::string(text) + " into Go value of type float64";
    value = Value(number);
  }

  bool parse_array(Value& value) {
    value = Value::array();
    if (!enter() || !reader_.begin_array()) return false;
    Value::Array& items = value.items();
    size_t path_size = path_.size();
    for (size_t i = 0; reader_.next_element(); ++i) {
      if (duplicates_ != nullptr) path_ += "[" + std::to_string(i) + "]";
      if (!parse_value(items.emplace_back())) return false;
      path_.resize(path_size);
    }
    --depth_;
    return !reader_.failed();
  }

  bool enter() { return ++depth_ <= kMaxTreeDepth || reader_.fail("exceeded max depth"); }

  bool parse_object(Value& value) {
    value = Value::object();
    if (!enter() || !reader_.begin_object()) return false;
    absl::flat_hash_map<std::string, size_t> index;
    Value::Members& members = value.members();
    size_t path_size = path_.size();
    std::string_view key;
    while (reader_.next_key(key)) {
      size_t at = position(members, index, key);
      if (at == members.size()) {
        members.emplace_back(std::string(key), Value());
      } else if (duplicates_ != nullptr && duplicates_->size() < 100) {
        duplicates_->push_back(path_.empty() ? std::string(key) : path_ + "." + std::string(key));
      }
      if (duplicates_ != nullptr) {
        if (!path_.empty()) path_ += '.';
        path_ += key;
      }
      Value parsed;
      if (!parse_value(parsed)) return false;
      members[at].second = std::move(parsed);
      path_.resize(path_size);
    }
    --depth_;
    return !reader_.failed();
  }

  size_t position(const Value::Members& members, absl::flat_hash_map<std::string, size_t>& index,
                  std::string_view key) {
    if (members.size() < kScanLimit) {
      size_t at = 0;
      while (at < members.size() && members[at].first != key) ++at;
      return at;
    }
    for (size_t i = index.size(); i < members.size(); ++i) index.emplace(members[i].first, i);
    auto found =
        index.find(std::string(key));  // abseil hashes only its own string_view transparently
    return found == index.end() ? members.size() : found->second;
  }

  JsonReader reader_;
  std::vector<std::string>* duplicates_;
  int depth_ = 0;
  std::string path_;
  std::string too_big_;
};

class TreeWriter {
 public:
  TreeWriter(std::string& out, bool sort_keys, int indent)
      : out_(out), sort_(sort_keys), indent_(indent) {}

  void write(const Value& value, int level) {
    switch (value.type()) {
      case Value::Type::kNull:
        out_ += "null";
        break;
      case Value::Type::kBool:
        out_ += value.as_bool() ? "true" : "false";
        break;
      case Value::Type::kInt:
        schema::append_int(out_, value.as_int());
        break;
      case Value::Type::kDouble:
        schema::append_double(out_, value.as_double());
        break;
      case Value::Type::kString:
        schema::append_json_string(out_, value.as_string());
        break;
      case Value::Type::kArray:
        write_array(value, level);
        break;
      case Value::Type::kObject:
        write_object(value, level);
        break;
    }
  }

 private:
  void line(int level) {
    if (indent_ == 0) return;
    out_ += '\n';
    out_.append(static_cast<size_t>(level) * static_cast<size_t>(indent_), ' ');
  }

  void write_array(const Value& value, int level) {
    out_ += '[';
    bool first = true;
    for (const Value& item : value.items()) {
      if (!first) out_ += ',';
      first = false;
      line(level + 1);
      write(item, level + 1);
    }
    if (!first) line(level);
    out_ += ']';
  }

  void write_object(const Value& value, int level) {
    std::vector<const Value::Member*> order;
    order.reserve(value.members().size());
    for (const Value::Member& member : value.members()) order.push_back(&member);
    if (sort_)
      std::sort(order.begin(), order.end(),
                [](const auto* a, const auto* b) { return a->first < b->first; });
    out_ += '{';
    bool first = true;
    for (const Value::Member* member : order) {
      if (!first) out_ += ',';
      first = false;
      line(level + 1);
      schema::append_json_string(out_, member->first);
      out_ += indent_ == 0 ? ":" : ": ";
      write(member->second, level + 1);
    }
    if (!first) line(level);
    out_ += '}';
  }

  std::string& out_;
  bool sort_;
  int indent_;
};

}  // namespace

Result<Value> parse(std::string_view text, std::vector<std::string>* duplicates) {
  return TreeParser(text, duplicates).run();
}

void write(std::string& out, const Value& value, bool sort_keys) {
  TreeWriter(out, sort_keys, 0).write(value, 0);
}

std::string to_pretty(const Value& value, int indent) {
  std::string out;
  TreeWriter(out, false, indent).write(value, 0);
  return out;
}

void write_string(std::string& out, std::string_view text) {
  schema::append_json_string(out, text);
}

}  // namespace knarr::json
