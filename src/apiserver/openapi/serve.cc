// SPDX-License-Identifier: Apache-2.0
#include "apiserver/openapi/serve.h"

#include <openssl/sha.h>

#include <map>
#include <mutex>

#include "apiserver/context.h"
#include "apiserver/discovery/catalog.h"
#include "apiserver/errors.h"
#include "apiserver/openapi/definitions.h"
#include "apiserver/openapi/gnostic.h"
#include "apiserver/openapi/paths.h"
#include "base/version.h"

namespace knarr::apiserver::openapi {
namespace {

using discovery::Catalog;
using discovery::Group;
using discovery::Version;

// Clients ask with an @, which no MIME parser takes; the answer spells it with a dot.
constexpr std::string_view kGnosticType = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

// Upper-case hex of the SHA-512, as upstream hashes its documents.
std::string hash_of(std::string_view text) {
  unsigned char digest[SHA512_DIGEST_LENGTH];
  SHA512(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (unsigned char byte : digest) {
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

struct Document {
  Bytes json, protobuf;
  std::string hash;
};
using DocumentPtr = std::shared_ptr<const Document>;

json::Value info() {
  json::Value out = json::Value::object();
  out["title"] = "Kubernetes";
  out["version"] = kKubernetesVersion;
  return out;
}

json::Value security() {
  json::Value out = json::Value::object();
  json::Value& token = out["BearerToken"];
  token["description"] = "Bearer Token authentication";
  token["in"] = "header";
  token["name"] = "authorization";
  token["type"] = "apiKey";
  return out;
}

DocumentPtr make_v2() {
  Definitions definitions(Dialect::kV2);
  json::Value paths = json::Value::object();
  for (const Group& group : discovery::builtin_catalog().groups())
    for (const Version& version : group.versions)
      for (const schema::Resource* resource : version.resources) add_resource_paths(Dialect::kV2, *resource, definitions, paths);
  json::Value document = json::Value::object();
  document["swagger"] = "2.0";
  document["info"] = info();
  document["paths"] = std::move(paths);
  document["definitions"] = definitions.take();
  document["securityDefinitions"] = security();
  auto made = std::make_shared<Document>();
  made->json = Bytes::copy(json::to_string(document));
  made->protobuf = Bytes::copy(to_gnostic(document));
  made->hash = hash_of(made->json.view());
  return made;
}

DocumentPtr make_v3(const Version& version) {
  Definitions definitions(Dialect::kV3);
  json::Value paths = json::Value::object();
  for (const schema::Resource* resource : version.resources) add_resource_paths(Dialect::kV3, *resource, definitions, paths);
  json::Value document = json::Value::object();
  document["openapi"] = "3.0.0";
  document["info"] = info();
  document["paths"] = std::move(paths);
  document["components"]["schemas"] = definitions.take();
  document["components"]["securitySchemes"] = security();
  auto made = std::make_shared<Document>();
  made->json = Bytes::copy(json::to_string(document));
  made->hash = hash_of(made->json.view());
  return made;
}

// "api/v1", "apis/apps/v1".
std::string document_path(const Version& version) {
  return (version.api_version.find('/') == std::string::npos ? "api/" : "apis/") + version.api_version;
}

class Documents {
 public:
  static Documents& instance() {
    static Documents documents;
    return documents;
  }
  DocumentPtr v2() {
    std::lock_guard lock(mutex_);
    if (v2_ == nullptr) v2_ = make_v2();
    return v2_;
  }
  // Null for a group-version that is not served.
  DocumentPtr v3(const std::string& path) {
    std::lock_guard lock(mutex_);
    return v3_locked(path);
  }
  std::string index() {
    std::lock_guard lock(mutex_);
    if (!index_.empty()) return index_;
    json::Value document = json::Value::object();
    json::Value& paths = document["paths"];
    for (const Group& group : discovery::builtin_catalog().groups()) {
      for (const Version& version : group.versions) {
        std::string path = document_path(version);
        paths[path]["serverRelativeURL"] = "/openapi/v3/" + path + "?hash=" + v3_locked(path)->hash;
      }
    }
    return index_ = json::to_string(document);
  }

 private:
  DocumentPtr v3_locked(const std::string& path) {
    auto at = v3_.find(path);
    if (at != v3_.end()) return at->second;
    for (const Group& group : discovery::builtin_catalog().groups())
      for (const Version& version : group.versions)
        if (document_path(version) == path) return v3_[path] = make_v3(version);
    return nullptr;
  }
  std::mutex mutex_;
  DocumentPtr v2_;                              // guarded by mutex_, as what follows
  std::map<std::string, DocumentPtr> v3_;
  std::string index_;
};

Task<Status> respond(RequestContext& context, int code, net::Headers headers, Body body) {
  Status status = co_await context.writer.respond(code, std::move(headers), std::move(body));
  co_return status;
}

Task<Status> fail(Status status) { co_return status; }

// 304 when the client has it already.
Task<Status> respond_document(RequestContext& context, const Document& document, bool protobuf, std::string_view content_type,
                              std::string_view cache_control) {
  net::Headers headers = response_headers(context);
  std::string etag = "\"" + document.hash + "\"";
  headers.set("ETag", etag);
  headers.set("Vary", "Accept-Encoding");
  headers.add("Vary", "Accept");
  if (!cache_control.empty()) headers.set("Cache-Control", cache_control);
  if (context.request.headers.get("If-None-Match") == etag) return respond(context, 304, std::move(headers), Body());
  headers.set("Content-Type", content_type);
  return respond(context, 200, std::move(headers), Body(protobuf ? document.protobuf : document.json));
}

}  // namespace

Task<Status> serve_v2(RequestContext& context) {
  DocumentPtr document = Documents::instance().v2();
  std::string_view accept = context.request.headers.get("Accept");
  bool protobuf = accept.find("proto-openapi.spec.v2@v1.0+protobuf") != std::string_view::npos ||
                  accept.find("proto-openapi.spec.v2.v1.0+protobuf") != std::string_view::npos;
  return respond_document(context, *document, protobuf, protobuf ? kGnosticType : "application/json", "");
}

Task<Status> serve_v3(RequestContext& context) {
  std::string_view path = context.info.path;
  path.remove_prefix(std::string_view("/openapi/v3").size());
  while (path.starts_with('/')) path.remove_prefix(1);
  net::Headers headers = response_headers(context);
  if (path.empty()) {
    headers.set("Content-Type", "application/json");
    return respond(context, 200, std::move(headers), Body(Bytes::copy(Documents::instance().index())));
  }
  DocumentPtr document = Documents::instance().v3(std::string(path));
  if (document == nullptr) return fail(generic_not_found());
  std::string_view hash = context.param("hash");
  if (hash.empty()) return respond_document(context, *document, false, "application/json", "no-cache, private");
  if (hash != document->hash) {
    // An old address: the client goes to the present one and may keep it.
    headers.set("Location", "/openapi/v3/" + std::string(path) + "?hash=" + document->hash);
    return respond(context, 301, std::move(headers), Body());
  }
  return respond_document(context, *document, false, "application/json", "public, immutable");
}

}  // namespace knarr::apiserver::openapi
