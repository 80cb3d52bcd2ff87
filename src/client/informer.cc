// SPDX-License-Identifier: Apache-2.0
#include "client/informer.h"

#include "client/backoff.h"
#include "client/indexed_cache.h"
#include "client/metadata.h"
#include "base/log.h"

namespace knarr::client {
namespace {

constexpr int64_t kPageSize = 500;
// client-go asks for watches of five to ten minutes, so that load spreads when servers come and go.
constexpr int64_t kMinWatchSeconds = 300;

bool is_expired(const Status& status) {
  return status.code() == 410 || status.is("Expired") || status.is("Gone");
}

// The server is behind the version that we have seen (or was restored from a backup).
bool is_too_large_version(const Status& status) {
  if (status.info() == nullptr || !status.is("Timeout")) return false;
  for (const Cause& cause : status.info()->causes)
    if (cause.type == "ResourceVersionTooLarge") return true;
  return false;
}

}  // namespace

struct InformerCore::Impl : std::enable_shared_from_this<Impl> {
  Impl(Client& c, const schema::Resource& r, Options o, Executor e)
      : client(c), resource(r), options(std::move(o)), executor(e), changed(e) {}

  Client& client;
  const schema::Resource& resource;
  const Options options;
  const Executor executor;
  IndexedCache cache;
  std::vector<Handler> handlers;
  Notifier changed;  // synced or stopped
  bool started = false, stopped = false, synced = false;
  std::string version;            // of the newest event seen
  bool version_unusable = false;  // the last list from it failed: ask for the newest
  WatchStream* watch = nullptr;   // being read, for stop()

  static Task<void> run(std::shared_ptr<Impl> self);
  static Task<Status> list(std::shared_ptr<Impl> self);
  static Task<Status> follow(std::shared_ptr<Impl> self);
  void tell(const SharedObject& old_object, const SharedObject& new_object);
  void replace(std::vector<schema::Object> items);
  Status apply(WatchEvent event);
};

void InformerCore::Impl::tell(const SharedObject& old_object, const SharedObject& new_object) {
  // By index: a handler may add another.
  for (size_t i = 0; i < handlers.size(); ++i) handlers[i](old_object, new_object);
}

namespace {

// As watches give them: without managed fields.
SharedObject share(schema::Object object) {
  if (auto* metadata = metadata_of(object)) metadata->managed_fields.reset();
  return std::make_shared<const schema::Object>(std::move(object));
}

}  // namespace

void InformerCore::Impl::replace(std::vector<schema::Object> items) {
  absl::flat_hash_set<std::string> present;
  for (schema::Object& item : items) {
    const auto* metadata = metadata_of(item);
    if (metadata == nullptr) continue;
    present.insert(key_of(*metadata));
  }
  // Deletions first: an object that was replaced by another of the same name is told as an update, others are gone for good.
  std::vector<std::string> gone;
  cache.for_each([&](const std::string& key, const SharedObject&) {
    if (!present.contains(key)) gone.push_back(key);
  });
  for (const std::string& key : gone) {
    SharedObject old = cache.erase(key);
    if (old != nullptr) tell(old, nullptr);
  }
  for (schema::Object& item : items) {
    const auto* metadata = metadata_of(item);
    if (metadata == nullptr) continue;
    std::string key = key_of(*metadata);
    SharedObject old = cache.get(key);
    if (old != nullptr && metadata_of(*old)->resource_version == metadata->resource_version) continue;
    SharedObject fresh = share(std::move(item));
    cache.put(key, fresh);
    tell(old, fresh);
  }
}

Status InformerCore::Impl::apply(WatchEvent event) {
  if (event.type == "ERROR") return status_of_object(*event.object);
  const auto* metadata = metadata_of(*event.object);
  if (metadata == nullptr) return Status::error("watch event without metadata");
  std::string seen = metadata->resource_version.str();
  std::string key = key_of(*metadata);
  if (event.type == "ADDED" || event.type == "MODIFIED") {
    SharedObject old = cache.get(key);
    cache.put(key, event.object);
    version = std::move(seen);
    tell(old, event.object);
  } else if (event.type == "DELETED") {
    SharedObject old = cache.erase(key);
    version = std::move(seen);
    if (old != nullptr) tell(event.object, nullptr);
  } else if (event.type == "BOOKMARK") {
    version = std::move(seen);
  }
  return {};
}

Task<Status> InformerCore::Impl::list(std::shared_ptr<Impl> self) {
  std::vector<schema::Object> items;
  std::string list_version;
  ListOptions options;
  options.label_selector = self->options.label_selector;
  options.field_selector = self->options.field_selector;
  // "0": whatever the server has cached; later, nothing older than what we have seen.
  options.resource_version = self->version_unusable ? "" : self->version.empty() ? "0" : self->version;
  if (options.resource_version.empty()) options.limit = kPageSize;
  do {
    ListOptions page = options;
    std::string ns = self->options.namespace_;
    auto result = co_await self->client.list_objects(self->resource, std::move(ns), std::move(page), self->options.type);
    if (self->stopped) co_return Status();
    if (!result.ok()) {
      if (is_expired(result.status()) || is_too_large_version(result.status())) self->version_unusable = true;
      co_return result.status();
    }
    list_version = std::move(result->resource_version);
    if (items.empty()) {
      items = std::move(result->items);
    } else {
      for (schema::Object& item : result->items) items.push_back(std::move(item));
    }
    options.continue_token = std::move(result->continue_token);
    options.resource_version.clear();  // the token holds it
  } while (!options.continue_token.empty());
  self->version_unusable = false;
  self->version = std::move(list_version);
  self->replace(std::move(items));
  if (!self->synced) {
    self->synced = true;
    self->changed.notify();
  }
  co_return Status();
}

// One watch until it ends. OK: an orderly end, watch again.
Task<Status> InformerCore::Impl::follow(std::shared_ptr<Impl> self) {
  ListOptions options;
  options.label_selector = self->options.label_selector;
  options.field_selector = self->options.field_selector;
  options.resource_version = self->version;
  options.timeout_seconds = kMinWatchSeconds + static_cast<int64_t>(random_below(kMinWatchSeconds));
  std::string ns = self->options.namespace_;
  auto opened = co_await self->client.watch_objects(self->resource, std::move(ns), std::move(options), self->options.type);
  if (self->stopped) co_return Status();
  if (!opened.ok()) co_return opened.status();
  std::unique_ptr<WatchStream> stream = std::move(*opened);
  self->watch = stream.get();
  // Also when this coroutine is dropped while it waits.
  struct Forget {
    Impl* impl;
    ~Forget() { impl->watch = nullptr; }
  } forget{self.get()};
  MonoTime begun = Clock::real().mono();
  bool any = false;
  Status end;
  while (true) {
    auto event = co_await stream->next();
    if (self->stopped) break;
    if (!event.ok()) {
      if (!event.status().is("Closed")) end = event.status();
      break;
    }
    any = true;
    end = self->apply(std::move(*event));
    if (!end.ok() || self->stopped) break;
  }
  if (end.ok() && !any && !self->stopped && Clock::real().mono() - begun < std::chrono::seconds(1))
    end = Status::make(503, "ServiceUnavailable", "very short watch: unexpected watch close");
  co_return end;
}

Task<void> InformerCore::Impl::run(std::shared_ptr<Impl> self) {
  Backoff backoff(std::chrono::milliseconds(800), std::chrono::seconds(30));
  bool listed = false;
  while (!self->stopped) {
    Status status;
    if (!listed) {
      status = co_await list(self);
      listed = status.ok();
      // An expired version is no reason to wait: the next list asks for the newest.
      if (!status.ok() && self->version_unusable && is_expired(status)) {
        status = co_await list(self);
        listed = status.ok();
      }
    } else {
      status = co_await follow(self);
      bool transport_failed = status.is("ServiceUnavailable") || status.code() == 429 || status.is("Timeout");
      if (!status.ok() && !transport_failed) listed = false;
      if (is_expired(status)) continue;
    }
    if (self->stopped) break;
    if (status.ok()) continue;
    log_debug("Informer failed, trying again",
              {{"resource", self->resource.plural}, {"error", status.message()}});
    Duration pause = backoff.next(Clock::real().mono());
    co_await self->changed.wait_for(pause);
  }
}

InformerCore::InformerCore(Client& client, const schema::Resource& resource, Options options, Executor executor)
    : impl_(std::make_shared<Impl>(client, resource, std::move(options), std::move(executor))) {}
InformerCore::~InformerCore() { stop(); }

void InformerCore::start() {
  if (impl_->started) return;
  impl_->started = true;
  spawn(impl_->executor, Impl::run(impl_));
}

void InformerCore::stop() {
  impl_->stopped = true;
  if (impl_->watch != nullptr) impl_->watch->cancel();
  impl_->handlers.clear();
  impl_->changed.notify();
}

bool InformerCore::synced() const { return impl_->synced; }

namespace {

// Takes the shared state by value, so that a waiter outlives its informer.
template <class Impl>
Task<void> wait_until_synced(std::shared_ptr<Impl> impl) {
  while (!impl->synced && !impl->stopped) co_await impl->changed.wait();
}

}  // namespace

Task<void> InformerCore::wait_synced() {
  std::shared_ptr<Impl> impl = impl_;
  co_await wait_until_synced(std::move(impl));
}

void InformerCore::add_handler(Handler handler) {
  std::vector<SharedObject> present;
  impl_->cache.for_each([&](const std::string&, const SharedObject& object) { present.push_back(object); });
  for (const SharedObject& object : present) handler(nullptr, object);
  impl_->handlers.push_back(std::move(handler));
}

void InformerCore::add_index(std::string name, IndexFunction function) {
  impl_->cache.add_index(std::move(name), std::move(function));
}

SharedObject InformerCore::get(std::string_view key) const { return impl_->cache.get(key); }
void InformerCore::for_each(const std::function<void(const SharedObject&)>& visit) const {
  impl_->cache.for_each([&](const std::string&, const SharedObject& object) { visit(object); });
}
void InformerCore::for_each_in(std::string_view ns, const std::function<void(const SharedObject&)>& visit) const {
  impl_->cache.for_each_in(ns, visit);
}
void InformerCore::for_each_indexed(std::string_view index, std::string_view value,
                                    const std::function<void(const SharedObject&)>& visit) const {
  impl_->cache.for_each_indexed(index, value, visit);
}
size_t InformerCore::size() const { return impl_->cache.size(); }
const schema::Resource& InformerCore::resource() const { return impl_->resource; }

InformerFactory::InformerFactory(Client& client, Executor executor) : client_(client), executor_(std::move(executor)) {}

namespace {

std::string factory_key(const schema::Resource& resource, const InformerCore::Options& options) {
  return std::string(resource.api_version) + "/" + std::string(resource.plural) + "\n" + options.namespace_ + "\n" +
         options.label_selector + "\n" + options.field_selector + "\n" +
         (options.type == nullptr || options.type == resource.type ? "" : std::string(options.type->type_name()));
}

}  // namespace

std::shared_ptr<InformerCore> InformerFactory::find(const schema::Resource& resource) const {
  std::string key = factory_key(resource, {});
  for (const auto& [known, core] : cores_)
    if (known == key) return core;
  return nullptr;
}

std::shared_ptr<InformerCore> InformerFactory::core(const schema::Resource& resource, InformerCore::Options options) {
  std::string key = factory_key(resource, options);
  for (auto& [known, core] : cores_)
    if (known == key) return core;
  auto made = std::make_shared<InformerCore>(client_, resource, std::move(options), executor_);
  cores_.emplace_back(std::move(key), made);
  if (started_) made->start();
  return made;
}

void InformerFactory::start() {
  started_ = true;
  for (size_t i = 0; i < cores_.size(); ++i) cores_[i].second->start();
}

void InformerFactory::stop() {
  for (auto& [key, core] : cores_) core->stop();
}

Task<void> InformerFactory::wait_synced() {
  // By index and by value: others may ask for more informers meanwhile.
  for (size_t i = 0; i < cores_.size(); ++i) {
    std::shared_ptr<InformerCore> core = cores_[i].second;
    co_await core->wait_synced();
  }
}

}  // namespace knarr::client
