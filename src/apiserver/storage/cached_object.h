// SPDX-License-Identifier: Apache-2.0
// One object as the server keeps it: encoded once, shared by everyone who reads it, never changed.
//
// The protobuf message and the JSON text are laid out so that a list is a chain of slices: the message has its list item's tag and length in
// front, the text a comma. What is not there yet (JSON, the decoded struct, another version of the kind) is made by the first who asks.
// Any thread may call anything.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "schema/resource.h"
#include "schema/selector.h"
#include "schema/type.h"

namespace knarr::apiserver {

// What is constant for all objects of one resource: its record and the way to its selectable fields. Outlives its objects.
class ObjectPlan {
 public:
  explicit ObjectPlan(const schema::Resource& resource);
  const schema::Resource& resource() const { return resource_; }
  // Index of a selectable field beside metadata's, -1 when there is none of that name.
  int field_index(std::string_view name) const;
  // The values of all selectable fields, each ended by a NUL.
  std::string extract_fields(const void* object) const;

 private:
  struct Selectable {
    std::string_view name;
    std::vector<const schema::Field*> path;  // empty: by name in extract_fields
  };
  std::string value_of(const Selectable& selectable, const void* object) const;
  const schema::Resource& resource_;
  std::vector<Selectable> fields_;
};

class CachedObject;
using CachedPtr = std::shared_ptr<const CachedObject>;

class CachedObject {
 public:
  // `message` is the bare protobuf message; its resourceVersion becomes `revision` (empty for 0). `decoded`, when the caller has it (with that resourceVersion or
  // none), saves decoding. `key` is "namespace/name" or "name". Fails when the message is not one.
  static Result<CachedPtr> make(const ObjectPlan& plan, std::string key, int64_t revision, int64_t create_revision, std::string_view message,
                                std::shared_ptr<const schema::Object> decoded = nullptr);

  const schema::Resource& resource() const { return plan_.resource(); }
  const ObjectPlan& plan() const { return plan_; }
  const std::string& key() const { return key_; }
  std::string_view namespace_() const;
  std::string_view name() const;
  int64_t revision() const { return revision_; }
  int64_t create_revision() const { return create_revision_; }

  Slice proto() const { return Slice(item_).sub(item_head_); }   // the bare message
  Slice proto_item() const { return Slice(item_); }              // as field 2 of a list
  Slice json() const;                                            // {"metadata":...}, without kind and apiVersion
  Slice json_item() const;                                       // the same with a comma before it
  // The part of the message and of the text that is PartialObjectMetadata: field 1, and {...} of "metadata".
  std::string_view proto_metadata() const;
  Slice json_metadata() const;

  // Decoded; kept when `keep`, for objects that are asked for again and again.
  std::shared_ptr<const schema::Object> object(bool keep = false) const;
  // Decoded, without managedFields: one for all who hold it at the same time.
  std::shared_ptr<const schema::Object> shared() const;
  // The same of its metadata only, a PartialObjectMetadata; made for each.
  std::shared_ptr<const schema::Object> shared_metadata() const;
  // Its writer lends the struct it has anyway until it has answered. It must hold this object's resourceVersion.
  void lend(std::shared_ptr<const schema::Object> decoded) const;
  void end_loan() const;
  // This object in another version of its kind, made once. The same when it is that version already.
  CachedPtr in_version(const CachedPtr& self, const schema::Resource& version) const;
  // The same object with another revision (of its deletion, or of the change that took it out of a selection).
  CachedPtr at_revision(int64_t revision) const;

  const schema::Map<schema::Str>& labels() const { return labels_; }
  // Value of a selectable field, "" when unknown.
  std::string_view field(std::string_view name) const;
  bool matches(const schema::LabelSelector& labels, const schema::FieldSelector& fields) const;

  explicit CachedObject(const ObjectPlan& plan) : plan_(plan) {}

 private:
  const ObjectPlan& plan_;
  std::string key_;
  int64_t revision_ = 0, create_revision_ = 0;
  Bytes item_;
  uint32_t item_head_ = 0;
  mutable std::atomic<bool> has_json_{false};
  schema::Map<schema::Str> labels_;
  schema::Str fields_;
  // Guarded by a mutex chosen by the object's address; json_ is constant once has_json_ is set.
  mutable Bytes json_;
  mutable std::shared_ptr<const schema::Object> decoded_;
  mutable bool lent_ = false;
  mutable std::weak_ptr<const schema::Object> shared_;
  mutable CachedPtr other_version_;
};

// The selectable fields of one version's names: events.k8s.io calls involvedObject "regarding". Identity for all others.
std::string storage_field_name(const schema::Resource& requested, std::string_view name);

}  // namespace knarr::apiserver
