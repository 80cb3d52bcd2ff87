// SPDX-License-Identifier: Apache-2.0
#include "apiserver/openapi/paths.h"

#include "api/meta_v1.h"

namespace knarr::apiserver::openapi {
namespace {

using schema::KindInfo;
using schema::Resource;

struct Parameter {
  std::string_view name, type, description;
};
constexpr Parameter kPretty = {"pretty", "string", "If 'true', the answer is indented."};
constexpr Parameter kDryRun = {"dryRun", "string", "All: go through every stage, write nothing."};
constexpr Parameter kFieldManager = {"fieldManager", "string", "Name of whoever makes the change, for managedFields."};
constexpr Parameter kFieldValidation = {"fieldValidation", "string", "What unknown and duplicate fields do: Ignore, Warn (default) or Strict."};
constexpr Parameter kForce = {"force", "boolean", "Take over fields that others manage; apply only."};
constexpr Parameter kDeleteParameters[] = {
    kDryRun,
    {"gracePeriodSeconds", "integer", "Seconds until the object is removed; 0 at once."},
    {"orphanDependents", "boolean", "Deprecated: use propagationPolicy."},
    {"propagationPolicy", "string", "What happens to dependents: Orphan, Background or Foreground."},
};
constexpr Parameter kListParameters[] = {
    {"allowWatchBookmarks", "boolean", "Send BOOKMARK events on a watch."},
    {"continue", "string", "Token of the previous part of a list."},
    {"fieldSelector", "string", "Only objects whose fields match."},
    {"labelSelector", "string", "Only objects whose labels match."},
    {"limit", "integer", "The most objects in one answer."},
    {"resourceVersion", "string", "The version to read at, or to watch from."},
    {"resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."},
    {"sendInitialEvents", "boolean", "Begin a watch with the present state."},
    {"timeoutSeconds", "integer", "Seconds after which the call ends."},
    {"watch", "boolean", "Send changes as they come."},
};

class Builder {
 public:
  Builder(Dialect dialect, const Resource& resource, Definitions& definitions, json::Value& paths)
      : dialect_(dialect), resource_(resource), definitions_(definitions), paths_(paths) {
    root_ = (resource.group.empty() ? "/api/" : "/apis/") + std::string(resource.api_version);
    for (std::string_view part : {resource.group.empty() ? std::string_view("core") : resource.group.substr(0, resource.group.find('.')),
                                  resource.version}) {
      tag_ += (tag_.empty() ? "" : "_") + std::string(part);
      group_id_ += capitalized(part);
    }
  }

  void build() {
    const KindInfo* kind = schema::find_kind(resource_.api_version, resource_.kind);
    if (kind == nullptr) return;
    std::string scope = resource_.namespaced ? "/namespaces/{namespace}/" : "/";
    std::string collection = root_ + scope + std::string(resource_.plural);
    if (resource_.namespaced && (resource_.verbs & schema::kList)) {
      json::Value all = json::Value::object();
      all["get"] = list_operation(*kind, std::string(resource_.kind) + "ForAllNamespaces", false);
      set_path(root_ + "/" + std::string(resource_.plural), std::move(all), false, false);
    }
    collection_path(*kind, collection);
    named_path(*kind, collection + "/{name}");
    for (const schema::Subresource& subresource : resource_.subresources)
      subresource_path(*kind, subresource, collection + "/{name}/" + std::string(subresource.name));
  }

 private:
  static std::string capitalized(std::string_view text) {
    std::string out(text);
    if (!out.empty()) out[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(out[0])));
    return out;
  }

  std::string object_id() const { return (resource_.namespaced ? "Namespaced" : "") + std::string(resource_.kind); }

  json::Value parameter(const Parameter& given, std::string_view in) const {
    json::Value out = json::Value::object();
    out["description"] = given.description;
    out["in"] = in;
    out["name"] = given.name;
    if (in == "path") out["required"] = true;
    json::Value& type = dialect_ == Dialect::kV2 ? out : out["schema"];
    type["type"] = given.type;
    type["uniqueItems"] = true;
    return out;
  }

  json::Value operation(const KindInfo& kind, std::string id, std::string_view action, std::string description) const {
    json::Value out = json::Value::object();
    out["description"] = std::move(description);
    out["operationId"] = std::move(id);
    out["tags"].push_back(tag_);
    out["x-kubernetes-action"] = action;
    json::Value& gvk = out["x-kubernetes-group-version-kind"];
    gvk["group"] = kind.group;
    gvk["kind"] = kind.kind;
    gvk["version"] = kind.version;
    if (dialect_ == Dialect::kV2) {
      out["consumes"].push_back("*/*");
      for (const char* type : {"application/json", "application/yaml", "application/vnd.kubernetes.protobuf"}) out["produces"].push_back(type);
      out["schemes"].push_back("https");
    }
    return out;
  }

  void add_parameters(json::Value& operation, std::span<const Parameter> parameters) const {
    for (const Parameter& one : parameters) operation["parameters"].push_back(parameter(one, "query"));
  }

  void add_body(json::Value& operation, json::Value reference, bool required, std::span<const std::string_view> media) const {
    if (dialect_ == Dialect::kV2) {
      json::Value body = json::Value::object();
      body["in"] = "body";
      body["name"] = "body";
      if (required) body["required"] = true;
      body["schema"] = std::move(reference);
      auto& list = operation["parameters"].items();
      list.insert(list.begin(), std::move(body));
      return;
    }
    json::Value& request = operation["requestBody"];
    for (std::string_view type : media) request["content"][type]["schema"] = reference;
    if (required) request["required"] = true;
  }

  void add_response(json::Value& operation, std::string_view code, std::string_view description, const json::Value* reference) const {
    json::Value& response = operation["responses"][code];
    response["description"] = description;
    if (reference == nullptr) return;
    if (dialect_ == Dialect::kV2) {
      response["schema"] = *reference;
      return;
    }
    for (const char* type : {"application/json", "application/vnd.kubernetes.protobuf", "application/yaml"})
      response["content"][type]["schema"] = *reference;
  }

  void finish(json::Value& operation) const { add_response(operation, "401", "Unauthorized", nullptr); }

  json::Value list_operation(const KindInfo& kind, std::string id, bool) {
    json::Value out = operation(kind, "list" + group_id_ + id, "list", "list or watch objects of kind " + std::string(resource_.kind));
    add_parameters(out, kListParameters);
    if (resource_.list_type != nullptr) {
      json::Value list = definitions_.reference(*resource_.list_type);
      add_response(out, "200", "OK", &list);
    }
    finish(out);
    return out;
  }

  json::Value write_operation(const KindInfo& kind, const std::string& id, std::string_view action, const std::string& description,
                              const schema::Type& body) {
    static constexpr Parameter kParameters[] = {kDryRun, kFieldManager, kFieldValidation};
    static constexpr std::string_view kAny[] = {"*/*"};
    json::Value out = operation(kind, id, action, description);
    add_parameters(out, kParameters);
    json::Value reference = definitions_.reference(body);
    add_body(out, reference, true, kAny);
    add_response(out, "200", "OK", &reference);
    add_response(out, "201", "Created", &reference);
    if (action == "post") add_response(out, "202", "Accepted", &reference);
    finish(out);
    return out;
  }

  json::Value read_operation(const KindInfo& kind, const std::string& id, const std::string& description, const schema::Type& type) {
    json::Value out = operation(kind, id, "get", description);
    json::Value reference = definitions_.reference(type);
    add_response(out, "200", "OK", &reference);
    finish(out);
    return out;
  }

  json::Value patch_operation(const KindInfo& kind, const std::string& id, const std::string& description, const schema::Type& type) {
    static constexpr Parameter kParameters[] = {kDryRun, kFieldManager, kFieldValidation, kForce};
    static constexpr std::string_view kTypes[] = {"application/json-patch+json", "application/merge-patch+json",
                                                  "application/strategic-merge-patch+json", "application/apply-patch+yaml"};
    json::Value out = operation(kind, id, "patch", description);
    if (dialect_ == Dialect::kV2) {
      out["consumes"] = json::Value::array();
      for (std::string_view one : kTypes) out["consumes"].push_back(one);
    }
    add_parameters(out, kParameters);
    add_body(out, definitions_.reference(kPatchName), true, kTypes);
    json::Value reference = definitions_.reference(type);
    add_response(out, "200", "OK", &reference);
    add_response(out, "201", "Created", &reference);
    finish(out);
    return out;
  }

  json::Value delete_operation(const KindInfo& kind, const std::string& id, std::string_view action, const std::string& description) {
    static constexpr std::string_view kAny[] = {"*/*"};
    json::Value out = operation(kind, id, action, description);
    add_parameters(out, kDeleteParameters);
    if (action == "deletecollection") add_parameters(out, std::span(kListParameters).subspan(1, 8));
    add_body(out, definitions_.reference(api::meta_v1::DeleteOptions::table()), false, kAny);
    json::Value status = definitions_.reference(api::meta_v1::Status::table());
    add_response(out, "200", "OK", &status);
    if (action == "delete") add_response(out, "202", "Accepted", &status);
    finish(out);
    return out;
  }

  void set_path(const std::string& path, json::Value item, bool with_name, bool with_namespace) {
    if (item.members().empty()) return;
    std::string named = "name of the " + std::string(resource_.kind);
    if (with_name) item["parameters"].push_back(parameter({"name", "string", named}, "path"));
    if (with_namespace)
      item["parameters"].push_back(parameter({"namespace", "string", "object name and auth scope, such as for teams and projects"}, "path"));
    item["parameters"].push_back(parameter(kPretty, "query"));
    paths_.members().emplace_back(path, std::move(item));
  }

  void collection_path(const KindInfo& kind, const std::string& path) {
    json::Value item = json::Value::object();
    std::string name(resource_.kind);
    if (resource_.verbs & schema::kList) item["get"] = list_operation(kind, object_id(), true);
    if (resource_.verbs & schema::kCreate)
      item["post"] = write_operation(kind, "create" + group_id_ + object_id(), "post", "create a " + name, *resource_.type);
    if (resource_.verbs & schema::kDeleteCollection)
      item["delete"] =
          delete_operation(kind, "delete" + group_id_ + "Collection" + object_id(), "deletecollection", "delete collection of " + name);
    set_path(path, std::move(item), false, resource_.namespaced);
  }

  void named_path(const KindInfo& kind, const std::string& path) {
    json::Value item = json::Value::object();
    std::string name(resource_.kind);
    if (resource_.verbs & schema::kGet) item["get"] = read_operation(kind, "read" + group_id_ + object_id(), "read the specified " + name, *resource_.type);
    if (resource_.verbs & schema::kUpdate)
      item["put"] = write_operation(kind, "replace" + group_id_ + object_id(), "put", "replace the specified " + name, *resource_.type);
    if (resource_.verbs & schema::kPatch)
      item["patch"] = patch_operation(kind, "patch" + group_id_ + object_id(), "partially update the specified " + name, *resource_.type);
    if (resource_.verbs & schema::kDelete) item["delete"] = delete_operation(kind, "delete" + group_id_ + object_id(), "delete", "delete a " + name);
    set_path(path, std::move(item), true, resource_.namespaced);
  }

  static bool is_connect(std::string_view name) { return name == "exec" || name == "attach" || name == "portforward" || name == "proxy"; }

  void subresource_path(const KindInfo& parent, const schema::Subresource& subresource, const std::string& path) {
    const KindInfo& kind = subresource.kind != nullptr ? *subresource.kind : parent;
    std::string id = object_id() + capitalized(subresource.name);
    std::string what = std::string(subresource.name) + " of the specified " + std::string(resource_.kind);
    json::Value item = json::Value::object();
    if (is_connect(subresource.name)) {
      static constexpr std::pair<uint16_t, std::string_view> kMethods[] = {
          {schema::kGet, "get"}, {schema::kCreate, "post"}, {schema::kUpdate, "put"}, {schema::kPatch, "patch"}, {schema::kDelete, "delete"}};
      for (const auto& [verb, method] : kMethods) {
        if (!(subresource.verbs & verb)) continue;
        json::Value out = operation(kind, "connect" + group_id_ + capitalized(method) + id, "connect", "connect " + what);
        json::Value& response = out["responses"]["200"];
        response["description"] = "OK";
        finish(out);
        item[method] = std::move(out);
      }
    } else {
      if (subresource.verbs & schema::kGet) item["get"] = read_operation(kind, "read" + group_id_ + id, "read " + what, *kind.type);
      if (subresource.verbs & schema::kUpdate) item["put"] = write_operation(kind, "replace" + group_id_ + id, "put", "replace " + what, *kind.type);
      if (subresource.verbs & schema::kPatch) item["patch"] = patch_operation(kind, "patch" + group_id_ + id, "partially update " + what, *kind.type);
      if (subresource.verbs & schema::kCreate) item["post"] = write_operation(kind, "create" + group_id_ + id, "post", "create " + what, *kind.type);
    }
    set_path(path, std::move(item), true, resource_.namespaced);
  }

  Dialect dialect_;
  const Resource& resource_;
  Definitions& definitions_;
  json::Value& paths_;
  std::string root_, tag_, group_id_;
};

}  // namespace

void add_resource_paths(Dialect dialect, const Resource& resource, Definitions& definitions, json::Value& paths) {
  Builder(dialect, resource, definitions, paths).build();
}

}  // namespace knarr::apiserver::openapi
