// SPDX-License-Identifier: Apache-2.0
#include "apiserver/storage/cached_object.h"

#include <array>
#include <mutex>

#include "apiserver/conversion.h"
#include "apiserver/registry/registry.h"
#include "api/meta_v1.h"
#include "schema/codec.h"

namespace knarr::apiserver {
namespace {

// Making a missing form is rare and short: a few mutexes for all objects.
std::mutex& lazy_mutex(const void* object) {
  static std::array<std::mutex, 64> mutexes;
  return mutexes[(reinterpret_cast<uintptr_t>(object) >> 6) % mutexes.size()];
}

size_t put_varint(char* out, uint64_t value) {
  size_t n = 0;
  while (value >= 0x80) {
    out[n++] = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out[n++] = static_cast<char>(value);
  return n;
}

// The length of the JSON object at the start of `text`.
size_t object_length(std::string_view text) {
  size_t depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i)
        if (text[i] == '\\') ++i;
    } else if (c == '{') {
      ++depth;
    } else if (c == '}' && --depth == 0) {
      return i + 1;
    }
  }
  return text.size();
}

}  // namespace

Result<CachedPtr> CachedObject::make(const ObjectPlan& plan, std::string key, int64_t revision, int64_t create_revision,
                                     std::string_view message, std::shared_ptr<const schema::Object> decoded) {
  TRY_ASSIGN(std::string versioned, schema::with_resource_version(message, revision == 0 ? "" : std::to_string(revision)));
  const schema::Type& type = *plan.resource().type;
  if (decoded == nullptr) {
    auto made = std::make_shared<schema::Object>(type);
    TRY(schema::decode_proto(message, type, made->data()));
    decoded = std::move(made);
  }
  auto object = std::make_shared<CachedObject>(plan);
  object->key_ = std::move(key);
  object->revision_ = revision;
  object->create_revision_ = create_revision;
  char head[11];
  head[0] = 0x12;
  size_t head_size = 1 + put_varint(head + 1, versioned.size());
  char* out = nullptr;
  object->item_ = Bytes::allocate(head_size + versioned.size(), &out);
  std::memcpy(out, head, head_size);
  std::memcpy(out + head_size, versioned.data(), versioned.size());
  object->item_head_ = static_cast<uint32_t>(head_size);
  object->labels_ = metadata_of(type, decoded->data()).labels;
  object->fields_ = plan.extract_fields(decoded->data());
  return CachedPtr(std::move(object));
}

std::string_view CachedObject::namespace_() const {
  size_t slash = key_.find('/');
  return slash == std::string::npos ? std::string_view() : std::string_view(key_).substr(0, slash);
}

std::string_view CachedObject::name() const {
  size_t slash = key_.find('/');
  return slash == std::string::npos ? std::string_view(key_) : std::string_view(key_).substr(slash + 1);
}

Slice CachedObject::json_item() const {
  if (!has_json_.load(std::memory_order_acquire)) {
    auto decoded = object();
    std::string text = ",";
    schema::encode_json(text, decoded->type(), decoded->data());
    std::lock_guard lock(lazy_mutex(this));
    if (!has_json_.load(std::memory_order_relaxed)) {
      json_ = Bytes::copy(text);
      has_json_.store(true, std::memory_order_release);
    }
  }
  return Slice(json_);
}

Slice CachedObject::json() const { return json_item().sub(1); }

std::string_view CachedObject::proto_metadata() const {
  std::string_view message = item_.view().substr(item_head_);
  // Field 1, length-delimited: checked when the object was made.
  size_t at = 1;
  uint64_t length = 0;
  for (int shift = 0; at < message.size() && shift < 64; shift += 7) {
    auto byte = static_cast<uint8_t>(message[at++]);
    length |= uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) break;
  }
  return message.substr(0, at + length);
}

Slice CachedObject::json_metadata() const {
  constexpr std::string_view kHead = R"({"metadata":)";
  Slice text = json();
  Slice rest = text.sub(kHead.size());
  return rest.sub(0, object_length(rest.view));
}

std::shared_ptr<const schema::Object> CachedObject::object(bool keep) const {
  {
    std::lock_guard lock(lazy_mutex(this));
    if (keep) lent_ = false;
    if (decoded_ != nullptr) return decoded_;
  }
  auto made = std::make_shared<schema::Object>(*plan_.resource().type);
  // The bytes were decoded once when the object was made: they are good.
  Status status = schema::decode_proto(item_.view().substr(item_head_), made->type(), made->data());
  KNARR_CHECK(status.ok());
  if (!keep) return made;
  std::lock_guard lock(lazy_mutex(this));
  if (decoded_ == nullptr) decoded_ = made;
  return decoded_;
}

namespace {

// Of bytes that were decoded before: they are good.
std::shared_ptr<const schema::Object> without_managed_fields(const schema::Type& type, std::string_view message) {
  auto made = std::make_shared<schema::Object>(type);
  Status status = schema::decode_proto(message, type, made->data());
  KNARR_CHECK(status.ok());
  metadata_of(type, made->data()).managed_fields.reset();
  return made;
}

}  // namespace

std::shared_ptr<const schema::Object> CachedObject::shared() const {
  {
    std::lock_guard lock(lazy_mutex(this));
    if (auto known = shared_.lock()) return known;
  }
  auto made = without_managed_fields(*plan_.resource().type, item_.view().substr(item_head_));
  std::lock_guard lock(lazy_mutex(this));
  if (auto known = shared_.lock()) return known;
  shared_ = made;
  return made;
}

std::shared_ptr<const schema::Object> CachedObject::shared_metadata() const {
  return without_managed_fields(api::meta_v1::PartialObjectMetadata::table(), proto_metadata());
}

void CachedObject::lend(std::shared_ptr<const schema::Object> decoded) const {
  std::lock_guard lock(lazy_mutex(this));
  if (decoded_ != nullptr) return;
  decoded_ = std::move(decoded);
  lent_ = true;
}

void CachedObject::end_loan() const {
  std::shared_ptr<const schema::Object> dropped;  // destroyed outside the lock
  std::lock_guard lock(lazy_mutex(this));
  if (!lent_) return;
  lent_ = false;
  dropped = std::move(decoded_);
}

CachedPtr CachedObject::in_version(const CachedPtr& self, const schema::Resource& version) const {
  if (&version == &plan_.resource()) return self;
  {
    std::lock_guard lock(lazy_mutex(this));
    if (other_version_ != nullptr) return other_version_;
  }
  // Plans of other versions live as long as the program: there are a handful.
  static std::mutex mutex;
  static auto& plans = *new std::map<const schema::Resource*, std::unique_ptr<ObjectPlan>>();
  const ObjectPlan* plan;
  {
    std::lock_guard lock(mutex);
    auto& slot = plans[&version];
    if (slot == nullptr) slot = std::make_unique<ObjectPlan>(version);
    plan = slot.get();
  }
  auto converted = std::make_shared<schema::Object>(convert(plan_.resource(), version, object()->data()));
  std::string message;
  schema::encode_proto(message, converted->type(), converted->data());
  auto made = make(*plan, key_, revision_, create_revision_, message, std::move(converted));
  KNARR_CHECK(made.ok());
  std::lock_guard lock(lazy_mutex(this));
  if (other_version_ == nullptr) other_version_ = std::move(*made);
  return other_version_;
}

CachedPtr CachedObject::at_revision(int64_t revision) const {
  auto made = make(plan_, key_, revision, create_revision_, item_.view().substr(item_head_));
  KNARR_CHECK(made.ok());
  return std::move(*made);
}

std::string_view CachedObject::field(std::string_view name) const {
  if (name == "metadata.name") return this->name();
  if (name == "metadata.namespace") return namespace_();
  int index = plan_.field_index(name);
  if (index < 0) return {};
  std::string_view packed = fields_.view();
  for (; index > 0; --index) packed.remove_prefix(packed.find('\0') + 1);
  return packed.substr(0, packed.find('\0'));
}

bool CachedObject::matches(const schema::LabelSelector& labels, const schema::FieldSelector& fields) const {
  if (!labels.matches_everything() && !labels.matches(labels_)) return false;
  if (fields.matches_everything()) return true;
  return fields.matches([this](std::string_view name) { return field(name); });
}

}  // namespace knarr::apiserver
