// SPDX-License-Identifier: Apache-2.0
// JSON into structs, with the rules and the wording of sigs.k8s.io/json: keys are case-sensitive, a
// value of the wrong type is noted (the first one is the answer) and passed over, a value that its
// own parser refuses ends it all, null means "leave alone" for values and "nil" for pointers, lists
// and maps.
#include <absl/container/flat_hash_set.h>

#include <charconv>

#include "schema/codec.h"
#include "schema/codec_internal.h"
#include "schema/codec_json_trace.h"
#include "schema/json_reader.h"
#include "schema/json_text.h"
#include "schema/quantity.h"
#include "schema/time.h"

namespace knarr::schema {
namespace {

constexpr size_t kMaxInlineLevels = 3;
constexpr size_t kNoBit = ~size_t{0};

// A field found by its JSON name, where it lies, and its bit among the seen ones (run-time types
// may have too many for bits).
struct Found {
  const Field* field = nullptr;
  const Type* owner = nullptr;
  void* at = nullptr;
  size_t bit = 0;
};
struct Seen {
  uint64_t bits[kMaxInlineLevels + 1] = {};
  absl::flat_hash_set<const Field*> others;
};

class JsonDecoder {
 public:
  JsonDecoder(std::string_view text, DecodeReport* report) : reader_(text), report_(report) {}

  Status run(const Type& type, void* object) {
    value(Kind::kStruct, &type, object);
    reader_.finish();
    if (reader_.failed()) return reader_.status();
    if (!fatal_.ok()) return fatal_;
    return saved_;
  }

 private:
  // ---- structs
  // ------------------------------------------------------------------------------------------------------------
  static const Field* find_from(const Type& type, std::string_view key, size_t& cursor) {
    std::span<const Field> fields = type.fields();
    const TypeSet& set = *type.set;
    // Keys mostly come in the order of the fields: go on after the last hit, then wrap around.
    for (size_t n = fields.size(), i = 0, at = cursor; i < n; ++i) {
      if (at >= n) at = 0;
      const Field& field = fields[at++];
      if (set.text(field.name) == key && !(field.flags & kInline)) {
        cursor = at;
        return &field;
      }
    }
    return nullptr;
  }

  static Found find(const Type& type, void* object, std::string_view key, size_t& cursor,
                    size_t level = 0) {
    Found found;
    if (const Field* field = find_from(type, key, cursor)) {
      auto index = static_cast<size_t>(field - type.fields().data());
      return {field, &type, field_at(object, *field), index < 64 ? level * 64 + index : kNoBit};
    }
    if (level + 1 >= kMaxInlineLevels) return found;
    for (const Field& field : type.fields()) {
      if (!(field.flags & kInline)) continue;
      size_t nested_cursor = 0;
      const Type& nested = field_type(type, field);
      found = find(nested, field_at(object, field), key, nested_cursor, level + 1);
      if (found.field != nullptr) return found;
    }
    return found;
  }

  void object(const Type& type, void* object) {
    if (++depth_ > kMaxTypedDepth) {
      reader_.fail("exceeded max depth");
      return;
    }
    Frame frame{frame_, &type, {}, 0, Frame::kStruct};
    frame_ = &frame;
    Seen seen;
    size_t cursor = 0;
    std::string unknown;
    std::string_view key;
    reader_.begin_object();
    while (reader_.next_key(key)) {
      if ((type.flags & kHasTypeMeta) && (key == "kind" || key == "apiVersion")) {
        bool is_kind = key == "kind";
        frame.key = is_kind ? "kind" : "apiVersion";
        note_seen(seen, {.bit = kMaxInlineLevels * 64 + (is_kind ? 0 : 1)});
        type_meta(is_kind);
        continue;
      }
      Found found = find(type, object, key, cursor);
      if (found.field == nullptr || key.empty()) {
        unknown_field(type, key, unknown);
        continue;
      }
      frame.key = found.owner->set->text(found.field->name);
      note_seen(seen, found);
      field(*found.owner, *found.field, found.at);
    }
    if (!unknown.empty()) {
      const Field& rest = type.fields().back();
      static_cast<Raw*>(field_at(object, rest))->bytes = unknown + "}";
    }
    frame_ = frame.outer;
    --depth_;
  }

  void note_seen(Seen& seen, const Found& found) {
    if (report_ == nullptr) return;
    bool again;
    if (found.bit == kNoBit) {
      again = !seen.others.insert(found.field).second;
    } else {
      uint64_t& word = seen.bits[found.bit / 64];
      uint64_t mask = uint64_t{1} << (found.bit % 64);
      again = word & mask;
      word |= mask;
    }
    if (again) problem("duplicate field", frame_->key);
  }

  void unknown_field(const Type& type, std::string_view key, std::string& kept) {
    if (type.flags & kPreserveUnknown) {
      kept += kept.empty() ? '{' : ',';
      append_json_string(kept, key);
      kept += ':';
      raw_text(kept);
      return;
    }
    if (report_ != nullptr) problem("unknown field", key);
    reader_.skip_value();
  }

  // apiVersion and kind: of the document they are reported, of objects inside others they are
  // passed over, as protobuf has none.
  void type_meta(bool is_kind) {
    if (reader_.peek() != '"') {
      if (reader_.peek() == 'n') {
        reader_.read_null();
        return;
      }
      return mismatch("string");
    }
    std::string_view text;
    if (!reader_.read_string(text) || report_ == nullptr || depth_ != 1) return;
    (is_kind ? report_->type_meta.kind : report_->type_meta.api_version) = text;
  }

  // ---- fields by shape
  // ------------------------------------------------------------------------------------------------------
  void field(const Type& owner, const Field& field, void* at) {
    const Type* inner = field.kind == Kind::kStruct ? &owner.set->types[field.type] : nullptr;
    switch (field.shape) {
      case Shape::kPlain:
        return value(field.kind, inner, at);
      case Shape::kOptional:
        if (reader_.peek() == 'n') {
          if (reader_.read_null()) optional_reset(field.kind, inner, at);
          return;
        }
        return value(field.kind, inner, optional_ensure(field.kind, inner, at));
      case Shape::kList:
        return list(field.kind, inner, *static_cast<RawList*>(at));
      case Shape::kMap:
        return map(field.kind, inner, *static_cast<RawList*>(at));
    }
  }

  static void clear_list(Kind kind, const Type* inner, RawList& list) {
    size_t step = kind_size(kind, inner);
    for (size_t i = 0; i < list.size(); ++i) destroy_value(kind, inner, list.at(i, step));
    if (list.block != nullptr) list.block->size = 0;
  }

  void list(Kind kind, const Type* inner, RawList& list) {
    char c = reader_.peek();
    if (c == 'n') {
      if (!reader_.read_null()) return;
      clear_list(kind, inner, list);
      std::free(list.block);
      list.block = nullptr;
      return;
    }
    if (c != '[') return mismatch(go_name(Shape::kList, kind, inner));
    clear_list(kind, inner, list);
    list.make_present();
    Frame frame{frame_, nullptr, {}, 0, Frame::kList};
    frame_ = &frame;
    size_t step = kind_size(kind, inner);
    reader_.begin_array();
    for (; reader_.next_element(); ++frame.index) value(kind, inner, list.append(step));
    frame_ = frame.outer;
  }

  void map(Kind kind, const Type* inner, RawList& map) {
    char c = reader_.peek();
    size_t size = kind_size(kind, inner);
    if (c == 'n') {
      if (!reader_.read_null()) return;
      size_t step = map_entry_size(size);
      for (size_t i = 0; i < map.size(); ++i) {
        reinterpret_cast<Str*>(map.at(i, step))->reset();
        destroy_value(kind, inner, map.at(i, step) + kMapValueOffset);
      }
      std::free(map.block);
      map.block = nullptr;
      return;
    }
    if (c != '{') return mismatch(go_name(Shape::kMap, kind, inner));
    map.make_present();
    Frame frame{frame_, nullptr, {}, 0, Frame::kMap};
    frame_ = &frame;
    std::string_view key;
    reader_.begin_object();
    while (reader_.next_key(key)) {
      bool existed = false;
      void* slot = map_slot(map, key, size, &existed);
      // The key's view may be the reader's scratch; the slot's own copy stays.
      frame.key =
          static_cast<Str*>(static_cast<void*>(static_cast<char*>(slot) - kMapValueOffset))->view();
      if (existed) {
        if (report_ != nullptr) duplicate_key(frame);
        destroy_value(kind, inner, slot);
      }
      value(kind, inner, slot);
    }
    frame_ = frame.outer;
  }

  void duplicate_key(const Frame& frame) {
    // The path of the map, then the key.
    std::string path = path_text(frame.outer);
    if (!path.empty()) path += '.';
    path += frame.key;
    add_problem("duplicate field", path);
  }

  // ---- values
  // ---------------------------------------------------------------------------------------------------------------
  void value(Kind kind, const Type* inner, void* at) {
    switch (kind) {
      case Kind::kString: {
        std::string_view text;
        if (string_value(text, "string"))
          static_cast<Str*>(at)->assign(text, !static_cast<Str*>(at)->is_null());
        return;
      }
      case Kind::kStruct:
        return struct_value(*inner, at);
      case Kind::kBool: {
        char c = reader_.peek();
        if (c == 't' || c == 'f') {
          bool flag;
          if (reader_.read_bool(flag)) *static_cast<bool*>(at) = flag;
          return;
        }
        return null_or_mismatch(c, "bool");
      }
      case Kind::kInt32:
        return number(*static_cast<int32_t*>(at), "int32");
      case Kind::kInt64:
        return number(*static_cast<int64_t*>(at), "int64");
      case Kind::kUint32:
        return number(*static_cast<uint32_t*>(at), "uint32");
      case Kind::kUint64:
        return number(*static_cast<uint64_t*>(at), "uint64");
      case Kind::kFloat:
        return number(*static_cast<float*>(at), "float32");
      case Kind::kDouble:
        return number(*static_cast<double*>(at), "float64");
      case Kind::kStringList:
        return list(Kind::kString, nullptr, *static_cast<RawList*>(at));
      case Kind::kBytes:
        return bytes(*static_cast<Str*>(at));
      case Kind::kRawExtension:
      case Kind::kFieldsV1:
      case Kind::kJson:
        return raw(*static_cast<Raw*>(at));
      default:
        return parsed_value(kind, at);
    }
  }

  void struct_value(const Type& type, void* at) {
    if (type.flags & (kOrBool | kOrArray | kOrStringArray)) return special(type, at);
    char c = reader_.peek();
    if (c == '{') return object(type, at);
    null_or_mismatch(c, go_name(Shape::kPlain, Kind::kStruct, &type));
  }

  // A string, or null (which leaves the target alone), or a noted mismatch.
  bool string_value(std::string_view& text, std::string_view wanted) {
    char c = reader_.peek();
    if (c == '"') return reader_.read_string(text);
    null_or_mismatch(c, wanted);
    return false;
  }

  template <class N>
  void number(N& target, std::string_view wanted) {
    char c = reader_.peek();
    if (c != '-' && (c < '0' || c > '9')) return null_or_mismatch(c, wanted);
    std::string_view literal;
    if (!reader_.read_number(literal)) return;
    N parsed{};
    bool good;
    if constexpr (std::is_same_v<N, double>) {
      good = parse_double(literal, parsed);
    } else if constexpr (std::is_same_v<N, float>) {
      good = parse_float(literal, parsed);
    } else {
      auto [end, error] = std::from_chars(literal.data(), literal.data() + literal.size(), parsed);
      good = error == std::errc() && end == literal.data() + literal.size();
    }
    if (good) {
      target = parsed;
    } else {
      save_mismatch("number " + std::string(literal), wanted);
    }
  }

  void bytes(Str& target) {
    char c = reader_.peek();
    if (c == 'n') {
      if (reader_.read_null()) target.reset();
      return;
    }
    std::string_view text;
    if (!string_value(text, "[]uint8")) return;
    size_t bad = 0;
    std::string decoded;
    if (parse_base64(text, decoded, bad)) {
      target.assign(decoded, true);
    } else if (saved_.ok()) {
      saved_ = bad_request("illegal base64 data at input byte " + std::to_string(bad));
    }
  }

  void raw_text(std::string& out) {
    reader_.peek();
    const char* from = reader_.position();
    bool spaced = false;
    if (!reader_.skip_value(&spaced)) return;
    std::string_view text(from, static_cast<size_t>(reader_.position() - from));
    if (spaced) {
      append_compact_json(out, text, false);
    } else {
      out += text;
    }
  }

  void raw(Raw& target) {
    if (reader_.peek() == 'n') {
      reader_.read_null();
      return;
    }
    std::string text;
    raw_text(text);
    target.bytes.assign(text, true);
  }

  // Values that Go parses with an UnmarshalJSON of their own: what they refuse is final.
  void parsed_value(Kind kind, void* at) {
    char c = reader_.peek();
    if (kind == Kind::kQuantity) return quantity(c, *static_cast<Quantity*>(at));
    if (kind == Kind::kIntOrString) return int_or_string(c, *static_cast<IntOrString*>(at));
    if (c == 'n' && kind != Kind::kDuration) {
      if (!reader_.read_null()) return;
      return destroy_value(kind, nullptr, at);
    }
    std::string_view text;
    if (c == '"') {
      if (!reader_.read_string(text)) return;
    } else if (c == 'n') {
      if (!reader_.read_null()) return;
    } else {
      return fatal_mismatch("string");
    }
    if (kind == Kind::kTime) return store(parse_time(text), *static_cast<Time*>(at));
    if (kind == Kind::kMicroTime)
      return store(parse_micro_time(text), *static_cast<MicroTime*>(at));
    store(parse_duration(text), static_cast<DurationValue*>(at)->nanos);
  }

  template <class T>
  void store(Result<T> parsed, T& target) {
    if (parsed.ok()) {
      target = *parsed;
    } else if (fatal_.ok()) {
      fatal_ = parsed.status();
    }
  }

  void quantity(char c, Quantity& target) {
    std::string_view text;
    if (c == 'n') {
      if (reader_.read_null()) target.text.reset();
      return;
    }
    if (c == '"') {
      if (!reader_.read_string(text)) return;
    } else if (c == '-' || (c >= '0' && c <= '9')) {
      if (!reader_.read_number(text)) return;
    } else {
      const char* from = reader_.position();
      if (!reader_.skip_value()) return;
      text = {from, static_cast<size_t>(reader_.position() - from)};
    }
    while (!text.empty() && static_cast<uint8_t>(text.front()) <= ' ') text.remove_prefix(1);
    while (!text.empty() && static_cast<uint8_t>(text.back()) <= ' ') text.remove_suffix(1);
    Result<std::string> canonical = canonical_quantity(text);
    if (canonical.ok()) {
      target.text.assign(*canonical);
    } else if (fatal_.ok()) {
      fatal_ = canonical.status();
    }
  }

  void int_or_string(char c, IntOrString& target) {
    std::string_view text;
    if (c == '"') {
      if (!reader_.read_string(text)) return;
      target.text.assign(text);
      target.is_string = true;
      return;
    }
    target.is_string = false;
    if (c == 'n') {
      reader_.read_null();
      return;
    }
    if (c != '-' && (c < '0' || c > '9')) return fatal_mismatch("int32");
    if (!reader_.read_number(text)) return;
    int32_t parsed = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (error == std::errc() && end == text.data() + text.size()) {
      target.number = parsed;
    } else if (fatal_.ok()) {
      fatal_ = mismatch_status("number " + std::string(text), "int32");
    }
  }

  void special(const Type& type, void* at) {
    std::span<const Field> fields = type.fields();
    const Type* inner[2];
    for (size_t i = 0; i < 2; ++i)
      inner[i] = fields[i].kind == Kind::kStruct ? &type.set->types[fields[i].type] : nullptr;
    size_t schema = type.flags & kOrBool ? 1 : 0;
    char c = reader_.peek();
    if (c == '{') {
      if (type.flags & kOrBool) *static_cast<bool*>(field_at(at, fields[0])) = true;
      void* made = optional_ensure(Kind::kStruct, inner[schema], field_at(at, fields[schema]));
      return object(*inner[schema], made);
    }
    if (type.flags & kOrBool) {
      bool flag;
      if (c == 't' || c == 'f') {
        if (reader_.read_bool(flag)) *static_cast<bool*>(field_at(at, fields[0])) = flag;
        return;
      }
      reader_.skip_value();
      if (fatal_.ok()) fatal_ = bad_request("boolean or JSON schema expected");
      return;
    }
    if (c == '[')
      return list(fields[1].kind, inner[1], *static_cast<RawList*>(field_at(at, fields[1])));
    reader_.skip_value();
  }

  // ---- messages
  // -------------------------------------------------------------------------------------------------------------
  static Status bad_request(std::string_view text) { return Status::make(400, "BadRequest", text); }

  void null_or_mismatch(char c, std::string_view wanted) {
    if (c == 'n') {
      reader_.read_null();
      return;
    }
    mismatch(wanted);
  }

  // Passes over the value at hand, which is not what the field takes.
  void mismatch(std::string_view wanted) {
    std::string_view found = json_value_name(reader_.peek());
    if (!reader_.skip_value()) return;
    save_mismatch(found, wanted);
  }
  void fatal_mismatch(std::string_view wanted) {
    std::string_view found = json_value_name(reader_.peek());
    if (!reader_.skip_value()) return;
    if (fatal_.ok()) fatal_ = mismatch_status(found, wanted);
  }
  void save_mismatch(std::string_view found, std::string_view wanted) {
    if (saved_.ok()) saved_ = mismatch_status(found, wanted);
  }

  Status mismatch_status(std::string_view found, std::string_view wanted) const {
    return bad_request(mismatch_text(frame_, found, wanted));
  }

  // `key` belongs to the innermost struct.
  void problem(std::string_view what, std::string_view key) {
    std::string path = path_text(frame_->outer);
    if (!path.empty()) path += '.';
    path += key;
    add_problem(what, path);
  }

  void add_problem(std::string_view what, const std::string& path) {
    if (report_->problems.size() >= kMaxReportedProblems) return;
    std::string text = std::string(what) + " " + go_quote(path);
    for (const std::string& known : report_->problems)
      if (known == text) return;
    report_->problems.push_back(std::move(text));
  }

  JsonReader reader_;
  DecodeReport* report_;
  const Frame* frame_ = nullptr;
  int depth_ = 0;
  Status saved_;  // the first value of a wrong type; decoding goes on behind it
  Status fatal_;  // the first value that its own parser refused; wins over saved_
};

}  // namespace

Status decode_json(std::string_view text, const Type& type, void* object, DecodeReport* report) {
  return JsonDecoder(text, report).run(type, object);
}

}  // namespace knarr::schema
