// SPDX-License-Identifier: Apache-2.0
// A local copy of one resource, kept by list and watch, shared by all its readers.
//
// Objects are immutable and decoded once per event. Everything runs on the factory's executor: handlers, reads, indexes. Like client-go's
// reflector it lists (rv 0), watches with bookmarks, resumes after a dropped watch, lists again after 410, and backs off on errors
// (0.8 s to 30 s with jitter). It never polls and has no resync period.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client/client.h"

namespace knarr::client {

// Type-erased half. `object` of a delete is the last known state.
class InformerCore {
 public:
  struct Options {
    std::string namespace_;                  // "" = all
    std::string label_selector, field_selector;
    const schema::Type* type = nullptr;      // null = the resource's; PartialObjectMetadata for metadata only
  };
  using Handler = std::function<void(const SharedObject& old_object, const SharedObject& new_object)>;  // add: old null; delete: new null
  using IndexFunction = std::function<void(const schema::Object& object, std::vector<std::string>& values)>;

  InformerCore(Client& client, const schema::Resource& resource, Options options, Executor executor);
  ~InformerCore();
  void start();                               // idempotent
  void stop();
  bool synced() const;                        // the first list has been delivered to the handlers
  Task<void> wait_synced();
  void add_handler(Handler handler);          // told of everything present first when already synced
  void add_index(std::string name, IndexFunction function);  // before start
  SharedObject get(std::string_view key) const;               // "ns/name" or "name"; null when absent
  void for_each(const std::function<void(const SharedObject&)>& visit) const;
  void for_each_in(std::string_view ns, const std::function<void(const SharedObject&)>& visit) const;   // by namespace
  void for_each_indexed(std::string_view index, std::string_view value, const std::function<void(const SharedObject&)>& visit) const;
  size_t size() const;
  // For optimistic local updates after a write (assumed pods): replaces the cached object when `object` is newer. Handlers are not told.
  const schema::Resource& resource() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

template <class T>
class Informer {
 public:
  using Ptr = std::shared_ptr<const T>;
  explicit Informer(std::shared_ptr<InformerCore> core) : core_(std::move(core)) {}
  InformerCore& core() const { return *core_; }
  const std::shared_ptr<InformerCore>& core_ptr() const { return core_; }
  bool synced() const { return core_->synced(); }
  Task<void> wait_synced() const { return core_->wait_synced(); }
  Ptr get(std::string_view key) const { return cast(core_->get(key)); }
  Ptr get(std::string_view ns, std::string_view name) const { return get(std::string(ns) + "/" + std::string(name)); }
  void add_handler(std::function<void(const Ptr& old_object, const Ptr& new_object)> handler) const {
    core_->add_handler([handler = std::move(handler)](const SharedObject& a, const SharedObject& b) { handler(cast(a), cast(b)); });
  }
  void add_index(std::string name, std::function<void(const T&, std::vector<std::string>&)> function) const {
    core_->add_index(std::move(name), [function = std::move(function)](const schema::Object& object, std::vector<std::string>& values) {
      function(*object.as<T>(), values);
    });
  }
  template <class Visit>
  void for_each(Visit&& visit) const {
    core_->for_each([&](const SharedObject& object) { visit(cast(object)); });
  }
  template <class Visit>
  void for_each_in(std::string_view ns, Visit&& visit) const {
    core_->for_each_in(ns, [&](const SharedObject& object) { visit(cast(object)); });
  }
  template <class Visit>
  void for_each_indexed(std::string_view index, std::string_view value, Visit&& visit) const {
    core_->for_each_indexed(index, value, [&](const SharedObject& object) { visit(cast(object)); });
  }
  size_t size() const { return core_->size(); }
  static Ptr cast(const SharedObject& object) { return object ? Ptr(object, object->as<T>()) : nullptr; }

 private:
  std::shared_ptr<InformerCore> core_;
};

// One informer a resource (and selector); everything a process watches goes through its factory.
class InformerFactory {
 public:
  InformerFactory(Client& client, Executor executor);
  template <class T>
  Informer<T> get() { return Informer<T>(core(T::resource(), {})); }
  std::shared_ptr<InformerCore> core(const schema::Resource& resource, InformerCore::Options options);
  // The one of whole, unfiltered objects of this resource, when somebody has asked for it; else null.
  std::shared_ptr<InformerCore> find(const schema::Resource& resource) const;
  void start();                               // those made so far; later ones start when made after start()
  void stop();
  Task<void> wait_synced();
  Client& client() { return client_; }
  Executor executor() const { return executor_; }

 private:
  Client& client_;
  Executor executor_;
  bool started_ = false;
  std::vector<std::pair<std::string, std::shared_ptr<InformerCore>>> cores_;
};

}  // namespace knarr::client
