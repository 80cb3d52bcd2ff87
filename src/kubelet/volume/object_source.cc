// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/object_source.h"

#include <algorithm>
#include <map>
#include <set>

#include "client/informer.h"
#include "net/event.h"

namespace knarr::kubelet {
namespace core = api::core_v1;
namespace {

constexpr Duration kSyncTimeout = std::chrono::seconds(1);

void add_env(PodReferences& refs, const schema::List<core::EnvFromSource>& env_from,
             const schema::List<core::EnvVar>& env) {
  for (const core::EnvFromSource& from : env_from) {
    if (from.config_map_ref)
      refs.config_maps.push_back(from.config_map_ref->local_object_reference.name.str());
    if (from.secret_ref) refs.secrets.push_back(from.secret_ref->local_object_reference.name.str());
  }
  for (const core::EnvVar& variable : env) {
    if (!variable.value_from) continue;
    const core::EnvVarSource& source = *variable.value_from;
    if (source.config_map_key_ref)
      refs.config_maps.push_back(source.config_map_key_ref->local_object_reference.name.str());
    if (source.secret_key_ref)
      refs.secrets.push_back(source.secret_key_ref->local_object_reference.name.str());
  }
}

void add_volume(PodReferences& refs, const core::VolumeSource& source) {
  if (source.config_map)
    refs.config_maps.push_back(source.config_map->local_object_reference.name.str());
  if (source.secret) refs.secrets.push_back(source.secret->secret_name.str());
  if (!source.projected) return;
  for (const core::VolumeProjection& projection : source.projected->sources) {
    if (projection.config_map)
      refs.config_maps.push_back(projection.config_map->local_object_reference.name.str());
    if (projection.secret)
      refs.secrets.push_back(projection.secret->local_object_reference.name.str());
  }
}

void sort_unique(std::vector<std::string>& names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::erase(names, "");
}

// One object that pods refer to, and its watch.
struct Watched {
  std::shared_ptr<client::InformerCore> core;
  std::set<std::string> pods;  // uids
  std::string key;             // "ns/name"
  Notifier changed;            // synced
  bool synced = false;
  bool dropped = false;

  explicit Watched(const Executor& executor) : changed(executor) {}
};
using WatchedPtr = std::shared_ptr<Watched>;

Task<void> await_sync(WatchedPtr watched) {
  std::shared_ptr<client::InformerCore> informer = watched->core;
  co_await informer->wait_synced();
  watched->synced = true;
  watched->changed.notify();
}

class WatchingSource final : public ObjectSource {
 public:
  WatchingSource(client::Client& client, Executor executor)
      : client_(client), executor_(std::move(executor)) {}
  ~WatchingSource() override {
    for (auto& [key, watched] : config_maps_) drop(*watched);
    for (auto& [key, watched] : secrets_) drop(*watched);
  }

  void register_pod(PodPtr pod) override {
    std::string uid = pod->metadata.uid.str();
    std::string ns = pod->metadata.namespace_.str();
    PodReferences wanted = references_of(*pod);
    Registered& registered = pods_[uid];
    registered.ns = ns;
    // New ones first: an object that both versions name keeps its watch.
    for (const std::string& name : wanted.config_maps)
      use(config_maps_, core::ConfigMap::resource(), ns, name, uid);
    for (const std::string& name : wanted.secrets)
      use(secrets_, core::Secret::resource(), ns, name, uid);
    for (const std::string& name : registered.refs.config_maps)
      if (!std::binary_search(wanted.config_maps.begin(), wanted.config_maps.end(), name))
        unuse(config_maps_, ns, name, uid);
    for (const std::string& name : registered.refs.secrets)
      if (!std::binary_search(wanted.secrets.begin(), wanted.secrets.end(), name))
        unuse(secrets_, ns, name, uid);
    registered.refs = std::move(wanted);
  }

  void unregister_pod(std::string_view uid_view) override {
    std::string uid(uid_view);
    auto at = pods_.find(uid);
    if (at == pods_.end()) return;
    Registered registered = std::move(at->second);
    pods_.erase(at);
    for (const std::string& name : registered.refs.config_maps)
      unuse(config_maps_, registered.ns, name, uid);
    for (const std::string& name : registered.refs.secrets)
      unuse(secrets_, registered.ns, name, uid);
  }

  Task<Result<ConfigMapPtr>> config_map(std::string ns, std::string name) override {
    WatchedPtr watched = find(config_maps_, ns, name);
    if (watched == nullptr) {
      Result<core::ConfigMap> read =
          co_await client_.get<core::ConfigMap>(std::move(ns), std::move(name));
      if (!read.ok()) co_return read.status();
      co_return std::make_shared<const core::ConfigMap>(std::move(*read));
    }
    Result<client::SharedObject> found =
        co_await lookup(std::move(watched), "configmap", std::move(name));
    if (!found.ok()) co_return found.status();
    co_return client::Informer<core::ConfigMap>::cast(*found);
  }

  Task<Result<SecretPtr>> secret(std::string ns, std::string name) override {
    WatchedPtr watched = find(secrets_, ns, name);
    if (watched == nullptr) {
      Result<core::Secret> read =
          co_await client_.get<core::Secret>(std::move(ns), std::move(name));
      if (!read.ok()) co_return read.status();
      co_return std::make_shared<const core::Secret>(std::move(*read));
    }
    Result<client::SharedObject> found =
        co_await lookup(std::move(watched), "secret", std::move(name));
    if (!found.ok()) co_return found.status();
    co_return client::Informer<core::Secret>::cast(*found);
  }

  void on_change(std::function<void(const std::string& uid)> changed) override {
    listeners_->push_back(std::move(changed));
  }

 private:
  struct Registered {
    std::string ns;
    PodReferences refs;
  };
  using Table = std::map<std::string, WatchedPtr>;
  using Listeners = std::vector<std::function<void(const std::string& uid)>>;

  static WatchedPtr find(const Table& table, const std::string& ns, const std::string& name) {
    auto at = table.find(ns + "/" + name);
    return at == table.end() ? nullptr : at->second;
  }

  void use(Table& table, const schema::Resource& resource, const std::string& ns,
           const std::string& name, const std::string& uid) {
    WatchedPtr& slot = table[ns + "/" + name];
    if (slot == nullptr) slot = start_watch(resource, ns, name);
    slot->pods.insert(uid);
  }

  void unuse(Table& table, const std::string& ns, const std::string& name, const std::string& uid) {
    auto at = table.find(ns + "/" + name);
    if (at == table.end()) return;
    at->second->pods.erase(uid);
    if (!at->second->pods.empty()) return;
    drop(*at->second);
    table.erase(at);
  }

  static void drop(Watched& watched) {
    watched.dropped = true;
    watched.core->stop();
    watched.changed.notify();
  }

  WatchedPtr start_watch(const schema::Resource& resource, const std::string& ns,
                         const std::string& name) {
    auto watched = std::make_shared<Watched>(executor_);
    watched->key = ns + "/" + name;
    client::InformerCore::Options options;
    options.namespace_ = ns;
    options.field_selector = "metadata.name=" + name;
    watched->core =
        std::make_shared<client::InformerCore>(client_, resource, std::move(options), executor_);
    std::weak_ptr<Watched> weak = watched;
    std::shared_ptr<Listeners> listeners = listeners_;
    Executor executor = executor_;
    watched->core->add_handler([weak, listeners, executor](const client::SharedObject&,
                                                           const client::SharedObject& object) {
      WatchedPtr self = weak.lock();
      if (self == nullptr || self->dropped) return;
      // An immutable object never changes again: its watch costs the server something and tells
      // us nothing.
      // Not from in here, as stopping drops this very handler.
      if (object != nullptr && is_immutable(*object))
        net::post(executor, [self] { self->core->stop(); });
      // What the first list brings is read by those who wait for it.
      if (!self->synced) return;
      std::set<std::string> pods = self->pods;
      for (const std::string& uid : pods)
        for (const auto& listener : *listeners) listener(uid);
    });
    watched->core->start();
    spawn(executor_, await_sync(watched));
    return watched;
  }

  static bool is_immutable(const schema::Object& object) {
    if (const auto* config_map = object.as<core::ConfigMap>())
      return config_map->immutable.value_or(false);
    if (const auto* secret = object.as<core::Secret>()) return secret->immutable.value_or(false);
    return false;
  }

  // `kind` as upstream's messages have it.
  Task<Result<client::SharedObject>> lookup(WatchedPtr watched, std::string_view kind,
                                            std::string name) {
    std::string what(kind);
    auto deadline = Clock::real().mono() + kSyncTimeout;
    while (!watched->synced) {
      Duration left = deadline - Clock::real().mono();
      if (left <= Duration::zero() || watched->dropped)
        co_return Status::error("failed to sync " + what +
                                " cache: timed out waiting for the condition");
      (void)co_await watched->changed.wait_for(left);
    }
    client::SharedObject object = watched->core->get(watched->key);
    if (object != nullptr) co_return object;
    StatusInfo info;
    info.code = 404;
    info.reason = "NotFound";
    info.message = what + " \"" + name + "\" not found";
    info.kind = what;
    info.name = name;
    co_return Status::from(std::move(info));
  }

  client::Client& client_;
  Executor executor_;
  std::shared_ptr<Listeners> listeners_ = std::make_shared<Listeners>();
  std::map<std::string, Registered> pods_;  // by uid
  Table config_maps_, secrets_;             // by "ns/name"
};

}  // namespace

PodReferences references_of(const core::Pod& pod) {
  PodReferences refs;
  for (const core::LocalObjectReference& secret : pod.spec.image_pull_secrets)
    refs.secrets.push_back(secret.name.str());
  for (const core::Container& container : pod.spec.init_containers)
    add_env(refs, container.env_from, container.env);
  for (const core::Container& container : pod.spec.containers)
    add_env(refs, container.env_from, container.env);
  for (const core::EphemeralContainer& container : pod.spec.ephemeral_containers)
    add_env(refs, container.ephemeral_container_common.env_from,
            container.ephemeral_container_common.env);
  for (const core::Volume& volume : pod.spec.volumes) add_volume(refs, volume.volume_source);
  sort_unique(refs.config_maps);
  sort_unique(refs.secrets);
  return refs;
}

std::unique_ptr<ObjectSource> make_object_source(client::Client& client, Executor executor) {
  return std::make_unique<WatchingSource>(client, std::move(executor));
}

}  // namespace knarr::kubelet
