// SPDX-License-Identifier: Apache-2.0
// YAML into JSON text. libyaml, the ancestor of go-yaml v2, scans and parses (so that its errors
// read like upstream's); what scalars, merges, aliases and duplicate keys mean follows go-yaml v2
// and sigs.k8s.io/yaml.
#include <yaml.h>

#include <cmath>
#include <map>
#include <memory>

#include "schema/codec.h"
#include "schema/json_reader.h"
#include "schema/json_text.h"
#include "schema/yaml_scalar.h"

namespace knarr::schema {
namespace {

// libyaml's work per token grows with the depth, so the limit is lower than JSON's.
constexpr size_t kMaxYamlDepth = 512;

struct Node {
  enum Kind : uint8_t { kScalar, kSequence, kMapping, kAlias } kind = kScalar;
  size_t line = 0;
  std::string tag, value;
  bool implicit = false;
  std::vector<Node*> children;  // a mapping's keys and values alternate
  Node* target = nullptr;       // of an alias
  bool visiting = false;
};

Status bad_yaml(const std::string& text) {
  return Status::make(400, "BadRequest", "yaml: " + text);
}

std::string text_of(const yaml_char_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}
std::string text_of(const yaml_char_t* bytes) {
  return bytes == nullptr ? "" : reinterpret_cast<const char*>(bytes);
}

// The nodes of one document, built from libyaml's events without recursion.
class TreeBuilder {
 public:
  explicit TreeBuilder(std::string_view text) {
    yaml_parser_initialize(&parser_);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  ~TreeBuilder() { yaml_parser_delete(&parser_); }
  TreeBuilder(const TreeBuilder&) = delete;
  TreeBuilder& operator=(const TreeBuilder&) = delete;

  // The root of the next document; null at the end of the stream.
  Result<Node*> next_document() {
    nodes_.clear();
    anchors_.clear();
    open_.clear();
    root_ = nullptr;
    while (true) {
      yaml_event_t event;
      if (yaml_parser_parse(&parser_, &event) == 0) return parser_failure();
      yaml_event_type_t type = event.type;
      Status status = handle(event);
      yaml_event_delete(&event);
      if (!status.ok()) return status;
      if (type == YAML_DOCUMENT_END_EVENT || type == YAML_STREAM_END_EVENT) return root_;
    }
  }

 private:
  Status handle(const yaml_event_t& event) {
    switch (event.type) {
      case YAML_SCALAR_EVENT: {
        Node* node = add(event, Node::kScalar, event.data.scalar.anchor, event.data.scalar.tag);
        node->value = text_of(event.data.scalar.value, event.data.scalar.length);
        node->implicit = event.data.scalar.plain_implicit != 0;
        return {};
      }
      case YAML_SEQUENCE_START_EVENT:
        return open(add(event, Node::kSequence, event.data.sequence_start.anchor,
                        event.data.sequence_start.tag));
      case YAML_MAPPING_START_EVENT:
        return open(add(event, Node::kMapping, event.data.mapping_start.anchor,
                        event.data.mapping_start.tag));
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        open_.pop_back();
        return {};
      case YAML_ALIAS_EVENT: {
        std::string name = text_of(event.data.alias.anchor);
        auto found = anchors_.find(name);
        if (found == anchors_.end()) return bad_yaml("unknown anchor '" + name + "' referenced");
        Node* node = add(event, Node::kAlias, nullptr, nullptr);
        node->target = found->second;
        node->value = name;
        return {};
      }
      default:
        return {};
    }
  }

  Node* add(const yaml_event_t& event, Node::Kind kind, const yaml_char_t* anchor,
            const yaml_char_t* tag) {
    nodes_.push_back(std::make_unique<Node>());
    Node* node = nodes_.back().get();
    node->kind = kind;
    node->line = event.start_mark.line;
    node->tag = text_of(tag);
    if (anchor != nullptr) anchors_[text_of(anchor)] = node;
    if (open_.empty()) {
      root_ = node;
    } else {
      open_.back()->children.push_back(node);
    }
    return node;
  }

  Status open(Node* node) {
    open_.push_back(node);
    return open_.size() > kMaxYamlDepth
               ? bad_yaml("exceeded max depth of " + std::to_string(kMaxYamlDepth))
               : Status();
  }

  Status parser_failure() const {
    size_t line = 0;
    if (parser_.problem_mark.line != 0) {
      // go-yaml counts a scanner's lines from one and a parser's from zero.
      line = parser_.problem_mark.line + (parser_.error == YAML_SCANNER_ERROR ? 1 : 0);
    } else {
      line = parser_.context_mark.line;
    }
    std::string text = line == 0 ? "" : "line " + std::to_string(line) + ": ";
    return bad_yaml(text += parser_.problem == nullptr ? "unknown problem parsing YAML content"
                                                       : parser_.problem);
  }

  yaml_parser_t parser_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::map<std::string, Node*> anchors_;
  std::vector<Node*> open_;
  Node* root_ = nullptr;
};

// Members of a mapping under construction, by key: JSON text each.
using Members = std::map<std::string, std::string>;

class Converter {
 public:
  // Appends the JSON of a node.
  Status value(Node& node, std::string& out) {
    TRY(count());
    switch (node.kind) {
      case Node::kScalar:
        return scalar(node, out);
      case Node::kSequence:
        return sequence(node, out);
      case Node::kMapping: {
        Members members;
        TRY(mapping(node, members));
        write(members, out);
        return {};
      }
      case Node::kAlias: {
        TRY(enter(node));
        TRY(value(*node.target, out));
        leave(node);
        return {};
      }
    }
    return {};
  }

  // Repeated keys, as go-yaml's strict mode words them.
  const std::vector<std::string>& duplicates() const { return duplicates_; }

 private:
  static constexpr size_t kMaxExpansion = 256u << 20;

  // Aliases may multiply a document: the share that comes from them is bounded, as go-yaml bounds
  // it.
  Status count() {
    ++decoded_;
    if (alias_depth_ > 0) ++from_aliases_;
    double allowed = decoded_ <= 400000 ? 0.99
                     : decoded_ >= 4000000
                         ? 0.10
                         : 0.99 - 0.89 * (static_cast<double>(decoded_) - 400000) / 3600000;
    bool excessive = from_aliases_ > 100 && decoded_ > 1000 &&
                     static_cast<double>(from_aliases_) / static_cast<double>(decoded_) > allowed;
    return excessive || expanded_ > kMaxExpansion ? bad_yaml("document contains excessive aliasing")
                                                  : Status();
  }
  Status enter(Node& alias) {
    if (alias.visiting) return bad_yaml("anchor '" + alias.value + "' value contains itself");
    if (alias_depth_ >= kMaxYamlDepth) return bad_yaml("document contains excessive aliasing");
    alias.visiting = true;
    ++alias_depth_;
    return {};
  }
  void leave(Node& alias) {
    alias.visiting = false;
    --alias_depth_;
  }

  Status scalar(const Node& node, std::string& out) {
    if (alias_depth_ > 0) expanded_ += node.value.size();
    if (node.tag.empty() && !node.implicit) {
      append_json_string(out, node.value);
      return {};
    }
    if (node.tag == "tag:yaml.org,2002:binary") {
      std::string bytes;
      size_t bad;
      if (!parse_base64(node.value, bytes, bad))
        return bad_yaml("!!binary value contains invalid base64 data");
      append_json_string(out, bytes);
      return {};
    }
    TRY_ASSIGN(YamlScalar scalar, resolve_yaml_scalar(node.tag, node.value));
    switch (scalar.tag) {
      case YamlTag::kNull:
        out += "null";
        break;
      case YamlTag::kBool:
        out += scalar.flag ? "true" : "false";
        break;
      case YamlTag::kInt:
        scalar.is_unsigned ? append_uint(out, scalar.large) : append_int(out, scalar.integer);
        break;
      case YamlTag::kFloat:
        if (!std::isfinite(scalar.real)) {
          std::string name = std::isnan(scalar.real) ? "NaN" : scalar.real > 0 ? "+Inf" : "-Inf";
          return Status::make(400, "BadRequest", "json: unsupported value: " + name);
        }
        append_double(out, scalar.real);
        break;
      default:
        append_json_string(out, node.value);
    }
    return {};
  }

  Status sequence(const Node& node, std::string& out) {
    out += '[';
    for (size_t i = 0; i < node.children.size(); ++i) {
      if (i != 0) out += ',';
      TRY(value(*node.children[i], out));
    }
    out += ']';
    return {};
  }

  static bool is_merge(const Node& key) {
    return key.kind == Node::kScalar && key.value == "<<" &&
           (key.implicit || key.tag == "tag:yaml.org,2002:merge");
  }

  Status mapping(const Node& node, Members& members) {
    for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
      Node& key = *node.children[i];
      Node& held = *node.children[i + 1];
      if (is_merge(key)) {
        TRY(merge(held, members));
        continue;
      }
      TRY(count());
      std::string name, json;
      bool quoted = true;
      TRY(key_text(key, name, quoted));
      TRY(value(held, json));
      if (members.contains(name) && duplicates_.size() < 100)
        duplicates_.push_back("line " + std::to_string(held.line + 1) + ": key " +
                              (quoted ? go_quote(name) : name) + " already set in map");
      if (alias_depth_ > 0) expanded_ += name.size();
      members[std::move(name)] = std::move(json);
    }
    return {};
  }

  Status merge(Node& from, Members& members) {
    TRY(count());
    auto wrong = [] { return bad_yaml("map merge requires map or sequence of maps as the value"); };
    if (from.kind == Node::kMapping) return mapping(from, members);
    if (from.kind == Node::kAlias) {
      if (from.target->kind != Node::kMapping) return wrong();
      TRY(enter(from));
      TRY(mapping(*from.target, members));
      leave(from);
      return {};
    }
    if (from.kind != Node::kSequence) return wrong();
    // The earlier ones win.
    for (size_t i = from.children.size(); i-- > 0;) {
      Node& child = *from.children[i];
      if (child.kind == Node::kScalar || child.kind == Node::kSequence) return wrong();
      TRY(merge(child, members));
    }
    return {};
  }

  // Keys that are no strings become strings; `quoted` says whether this one was one.
  Status key_text(Node& key, std::string& out, bool& quoted) {
    if (key.kind == Node::kAlias) {
      TRY(enter(key));
      TRY(key_text(*key.target, out, quoted));
      leave(key);
      return {};
    }
    if (key.kind != Node::kScalar) return bad_yaml("invalid map key");
    if (key.tag.empty() && !key.implicit) {
      out = key.value;
      return {};
    }
    TRY_ASSIGN(YamlScalar scalar, resolve_yaml_scalar(key.tag, key.value));
    quoted = scalar.tag != YamlTag::kBool && scalar.tag != YamlTag::kInt &&
             scalar.tag != YamlTag::kFloat;
    switch (scalar.tag) {
      case YamlTag::kNull:
        return Status::make(400, "BadRequest",
                            "Unsupported map key of type: %!s(<nil>), key: <nil>");
      case YamlTag::kBool:
        out = scalar.flag ? "true" : "false";
        break;
      case YamlTag::kInt:
        if (scalar.is_unsigned)
          return Status::make(400, "BadRequest",
                              "Unsupported map key of type: uint64, key: " + key.value);
        append_int(out, scalar.integer);
        break;
      case YamlTag::kFloat:
        out = format_yaml_float32(scalar.real);
        break;
      default:
        out = key.value;
    }
    return {};
  }

  static void write(const Members& members, std::string& out) {
    out += '{';
    bool first = true;
    for (const auto& [name, json] : members) {
      if (!first) out += ',';
      first = false;
      append_json_string(out, name);
      out += ':';
      out += json;
    }
    out += '}';
  }

  size_t decoded_ = 0, from_aliases_ = 0, alias_depth_ = 0, expanded_ = 0;
  std::vector<std::string> duplicates_;
};

void report_duplicates(const Converter& converter, DecodeReport* report) {
  if (report == nullptr || converter.duplicates().empty()) return;
  std::string text = "yaml: unmarshal errors:";
  for (const std::string& line : converter.duplicates()) text += "\n  " + line;
  report->problems.push_back(std::move(text));
}

// Documents one behind the other, as `kubectl get -o json` and jq write them; false when it is not
// JSON.
bool split_json(std::string_view text, std::vector<std::string>& documents) {
  JsonReader reader(text);
  while (reader.peek() != '\0') {
    const char* from = reader.position();
    if (!reader.skip_value()) return false;
    documents.emplace_back(from, reader.position());
  }
  return !reader.failed() && reader.offset() == text.size();
}

}  // namespace

Result<std::string> yaml_to_json(std::string_view text, DecodeReport* report) {
  TreeBuilder builder(text);
  TRY_ASSIGN(Node * root, builder.next_document());
  if (root == nullptr) return std::string("null");
  Converter converter;
  std::string json;
  TRY(converter.value(*root, json));
  report_duplicates(converter, report);
  return json;
}

Result<std::vector<std::string>> yaml_documents_to_json(std::string_view text) {
  std::vector<std::string> documents;
  size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '{') {
    if (split_json(text, documents)) return documents;
    documents.clear();
  }
  TreeBuilder builder(text);
  while (true) {
    TRY_ASSIGN(Node * root, builder.next_document());
    if (root == nullptr) return documents;
    Converter converter;
    std::string json;
    TRY(converter.value(*root, json));
    if (json != "null") documents.push_back(std::move(json));
  }
}

}  // namespace knarr::schema
