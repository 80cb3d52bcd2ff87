// SPDX-License-Identifier: Apache-2.0
// The few container kinds that API objects are made of.
//
// All of them share two properties on which the table-driven engine rests:
//   - zero bytes are a valid, empty value;
//   - a value may be moved with memcpy (nothing points into itself).
// Strings, lists, maps and boxes are one pointer wide and own what they hold; copies are deep. Not thread-safe, but
// const objects may be read by many threads. Allocation failure ends the process.
//
// As in Go, a list, map or byte string can be nil (null pointer) or empty; encoders tell the two apart where Go does.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace knarr::schema {

namespace detail {
struct StrHeader {
  uint32_t size;
};
struct ListHeader {
  uint32_t size;
  uint32_t capacity;
};
inline void* allocate(size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
// A list block with room for `capacity` elements of `element` bytes; keeps the elements, zeroes nothing.
void* grow_list(void* block, size_t element, uint32_t capacity);
}  // namespace detail

class Str {
 public:
  Str() = default;
  Str(std::string_view text) { assign(text); }               // NOLINT: implicit by design
  Str(const char* text) { assign(text); }                    // NOLINT
  Str(const std::string& text) { assign(text); }             // NOLINT
  Str(const Str& other) { copy_from(other); }
  Str(Str&& other) noexcept : p_(std::exchange(other.p_, nullptr)) {}
  Str& operator=(const Str& other) {
    if (this != &other) {
      reset();
      copy_from(other);
    }
    return *this;
  }
  Str& operator=(Str&& other) noexcept {
    std::swap(p_, other.p_);
    return *this;
  }
  Str& operator=(std::string_view text) {
    // `text` may lie inside the old value.
    Str made(text);
    std::swap(p_, made.p_);
    return *this;
  }
  Str& operator=(const char* text) { return *this = std::string_view(text); }
  Str& operator=(const std::string& text) { return *this = std::string_view(text); }
  ~Str() { std::free(p_); }

  operator std::string_view() const { return view(); }  // NOLINT: implicit by design
  std::string_view view() const {
    return p_ == nullptr ? std::string_view() : std::string_view(data(), p_->size);
  }
  std::string str() const { return std::string(view()); }
  const char* c_str() const { return p_ == nullptr ? "" : data(); }
  size_t size() const { return p_ == nullptr ? 0 : p_->size; }
  bool empty() const { return size() == 0; }
  bool is_null() const { return p_ == nullptr; }
  void reset() {
    std::free(p_);
    p_ = nullptr;
  }
  // Empty text becomes null, unless `keep_empty`: then it is present and empty (a pointer to "", a non-nil []byte).
  void assign(std::string_view text, bool keep_empty = false) {
    if (text.empty() && !keep_empty) {
      reset();
      return;
    }
    auto* made = static_cast<detail::StrHeader*>(
        detail::allocate(sizeof(detail::StrHeader) + text.size() + 1));
    made->size = static_cast<uint32_t>(text.size());
    char* out = reinterpret_cast<char*>(made + 1);
    if (!text.empty()) std::memcpy(out, text.data(), text.size());
    out[text.size()] = '\0';
    std::free(p_);
    p_ = made;
  }

  friend bool operator==(const Str& a, const Str& b) { return a.view() == b.view(); }
  friend bool operator==(const Str& a, std::string_view b) { return a.view() == b; }
  friend bool operator==(const Str& a, const char* b) { return a.view() == b; }
  friend bool operator==(const Str& a, const std::string& b) { return a.view() == b; }
  friend auto operator<=>(const Str& a, const Str& b) { return a.view() <=> b.view(); }

 private:
  const char* data() const { return reinterpret_cast<const char*>(p_ + 1); }
  void copy_from(const Str& other) {
    if (other.p_ != nullptr) assign(other.view(), true);
  }
  detail::StrHeader* p_ = nullptr;
};

template <class T>
class List {
 public:
  using value_type = T;
  List() = default;
  List(std::initializer_list<T> values) {
    reserve(static_cast<uint32_t>(values.size()));
    for (const T& value : values) push_back(value);
  }
  List(const List& other) { copy_from(other); }
  List(List&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  List& operator=(List other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~List() { reset(); }

  size_t size() const { return block_ == nullptr ? 0 : header()->size; }
  bool empty() const { return size() == 0; }
  bool is_null() const { return block_ == nullptr; }
  T* begin() { return elements(); }
  T* end() { return elements() + size(); }
  const T* begin() const { return elements(); }
  const T* end() const { return elements() + size(); }
  T& operator[](size_t i) { return elements()[i]; }
  const T& operator[](size_t i) const { return elements()[i]; }
  T& front() { return elements()[0]; }
  const T& front() const { return elements()[0]; }
  T& back() { return elements()[size() - 1]; }
  const T& back() const { return elements()[size() - 1]; }

  // At least an empty, non-nil list with this room.
  void reserve(uint32_t capacity) {
    if (block_ == nullptr || header()->capacity < capacity)
      block_ = detail::grow_list(block_, sizeof(T), capacity);
  }
  T& emplace_back() {
    auto n = static_cast<uint32_t>(size());
    if (block_ == nullptr || n == header()->capacity) reserve(n == 0 ? 2 : n * 2);
    T* made = new (elements() + n) T();
    header()->size = n + 1;
    return *made;
  }
  void push_back(T value) { emplace_back() = std::move(value); }
  T& insert_at(size_t at, T value) {
    emplace_back();
    T* base = elements();
    size_t last = size() - 1;
    // The new last element is zero bytes: shifting over it loses nothing.
    std::memmove(static_cast<void*>(base + at + 1), static_cast<const void*>(base + at), (last - at) * sizeof(T));
    T* made = new (base + at) T();
    *made = std::move(value);
    return *made;
  }
  void erase_at(size_t at) {
    T* base = elements();
    base[at].~T();
    std::memmove(static_cast<void*>(base + at), static_cast<const void*>(base + at + 1),
                 (size() - at - 1) * sizeof(T));
    --header()->size;
  }
  template <class Predicate>
  size_t erase_if(Predicate predicate) {
    size_t removed = 0;
    for (size_t i = size(); i-- > 0;) {
      if (predicate(elements()[i])) {
        erase_at(i);
        ++removed;
      }
    }
    return removed;
  }
  void clear() {
    for (T& value : *this) value.~T();
    if (block_ != nullptr) header()->size = 0;
  }
  void reset() {
    clear();
    std::free(block_);
    block_ = nullptr;
  }
  friend bool operator==(const List& a, const List& b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
      if (!(a[i] == b[i])) return false;
    return true;
  }

 private:
  detail::ListHeader* header() const { return static_cast<detail::ListHeader*>(block_); }
  T* elements() const {
    return block_ == nullptr ? nullptr : reinterpret_cast<T*>(header() + 1);
  }
  void copy_from(const List& other) {
    if (other.is_null()) return;
    reserve(static_cast<uint32_t>(other.size()));
    for (const T& value : other) new (elements() + header()->size++) T(value);
  }
  void* block_ = nullptr;
};

template <class V>
struct MapEntry {
  Str key;
  V value{};
  friend bool operator==(const MapEntry&, const MapEntry&) = default;
};

// String keys, kept sorted, as every encoder needs them.
template <class V>
class Map {
 public:
  using Entry = MapEntry<V>;
  Map() = default;
  Map(std::initializer_list<std::pair<std::string_view, V>> values) {
    for (const auto& [key, value] : values) (*this)[key] = value;
  }
  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  bool is_null() const { return entries_.is_null(); }
  Entry* begin() { return entries_.begin(); }
  Entry* end() { return entries_.end(); }
  const Entry* begin() const { return entries_.begin(); }
  const Entry* end() const { return entries_.end(); }
  V* find(std::string_view key) {
    size_t at = lower_bound(key);
    return at < size() && entries_[at].key == key ? &entries_[at].value : nullptr;
  }
  const V* find(std::string_view key) const { return const_cast<Map*>(this)->find(key); }
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  V& operator[](std::string_view key) {
    size_t at = lower_bound(key);
    if (at < size() && entries_[at].key == key) return entries_[at].value;
    Entry entry;
    entry.key.assign(key, true);
    return entries_.insert_at(at, std::move(entry)).value;
  }
  bool erase(std::string_view key) {
    size_t at = lower_bound(key);
    if (at >= size() || entries_[at].key != key) return false;
    entries_.erase_at(at);
    return true;
  }
  void clear() { entries_.clear(); }
  void reset() { entries_.reset(); }
  void ensure() { entries_.reserve(1); }  // nil becomes empty
  friend bool operator==(const Map& a, const Map& b) { return a.entries_ == b.entries_; }

 private:
  size_t lower_bound(std::string_view key) const {
    size_t low = 0, high = size();
    while (low < high) {
      size_t middle = (low + high) / 2;
      if (entries_[middle].key.view() < key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
  List<Entry> entries_;
};
// "" when absent.
inline std::string_view get_or_empty(const Map<Str>& map, std::string_view key) {
  const Str* value = map.find(key);
  return value == nullptr ? std::string_view() : value->view();
}

// An optional struct (a Go pointer): null or one owned T.
template <class T>
class Box {
 public:
  Box() = default;
  Box(T value) : p_(new T(std::move(value))) {}  // NOLINT: implicit by design
  Box(const Box& other) : p_(other.p_ == nullptr ? nullptr : new T(*other.p_)) {}
  Box(Box&& other) noexcept : p_(std::exchange(other.p_, nullptr)) {}
  Box& operator=(Box other) noexcept {
    std::swap(p_, other.p_);
    return *this;
  }
  ~Box() { delete p_; }
  explicit operator bool() const { return p_ != nullptr; }
  bool has_value() const { return p_ != nullptr; }
  T* get() { return p_; }
  const T* get() const { return p_; }
  T& operator*() { return *p_; }
  const T& operator*() const { return *p_; }
  T* operator->() { return p_; }
  const T* operator->() const { return p_; }
  T& ensure() {
    if (p_ == nullptr) p_ = new T();
    return *p_;
  }
  void reset() {
    delete p_;
    p_ = nullptr;
  }
  friend bool operator==(const Box& a, const Box& b) {
    if (a.p_ == nullptr || b.p_ == nullptr) return a.p_ == b.p_;
    return *a.p_ == *b.p_;
  }

 private:
  T* p_ = nullptr;
};

// An optional scalar (a Go pointer to one). The value comes first, so that the engine finds it at the field's offset.
template <class T>
class Opt {
 public:
  Opt() = default;
  Opt(T value) : value_(std::move(value)), has_(true) {}  // NOLINT: implicit by design
  bool has_value() const { return has_; }
  explicit operator bool() const { return has_; }
  const T& operator*() const { return value_; }
  T& operator*() { return value_; }
  const T* operator->() const { return &value_; }
  T value_or(T fallback) const { return has_ ? value_ : std::move(fallback); }
  T& ensure() {
    has_ = true;
    return value_;
  }
  void reset() {
    value_ = T();
    has_ = false;
  }
  friend bool operator==(const Opt& a, const Opt& b) {
    return a.has_ == b.has_ && (!a.has_ || a.value_ == b.value_);
  }

 private:
  T value_{};
  bool has_ = false;
};

// An optional string: null is absent, "" is present.
template <>
class Opt<Str> {
 public:
  Opt() = default;
  Opt(std::string_view text) { value_.assign(text, true); }   // NOLINT: implicit by design
  Opt(const char* text) : Opt(std::string_view(text)) {}      // NOLINT
  Opt(const std::string& text) : Opt(std::string_view(text)) {}  // NOLINT
  Opt(const Str& text) : Opt(text.view()) {}                  // NOLINT
  bool has_value() const { return !value_.is_null(); }
  explicit operator bool() const { return has_value(); }
  const Str& operator*() const { return value_; }
  Str& operator*() { return value_; }
  const Str* operator->() const { return &value_; }
  std::string_view value_or(std::string_view fallback) const {
    return has_value() ? value_.view() : fallback;
  }
  void reset() { value_.reset(); }
  friend bool operator==(const Opt& a, const Opt& b) {
    return a.has_value() == b.has_value() && a.value_ == b.value_;
  }

 private:
  Str value_;
};

// metav1.Time: whole seconds. Counted from the year 1 as in Go, so that zero is Go's zero time (JSON null).
class Time {
 public:
  static constexpr int64_t kUnixOffset = 62135596800;
  Time() = default;
  static Time from_unix(int64_t seconds) {
    Time time;
    time.seconds_ = seconds + kUnixOffset;
    return time;
  }
  int64_t unix_seconds() const { return seconds_ - kUnixOffset; }
  bool is_zero() const { return seconds_ == 0; }
  friend auto operator<=>(const Time&, const Time&) = default;

 private:
  int64_t seconds_ = 0;
};

// metav1.MicroTime: microseconds, the same origin.
class MicroTime {
 public:
  MicroTime() = default;
  static MicroTime from_unix_micros(int64_t micros) {
    MicroTime time;
    time.micros_ = micros + Time::kUnixOffset * 1000000;
    return time;
  }
  int64_t unix_micros() const { return micros_ - Time::kUnixOffset * 1000000; }
  bool is_zero() const { return micros_ == 0; }
  friend auto operator<=>(const MicroTime&, const MicroTime&) = default;

 private:
  int64_t micros_ = 0;
};

// metav1.Duration: nanoseconds; "1h2m3s" in JSON.
struct DurationValue {
  int64_t nanos = 0;
  friend auto operator<=>(const DurationValue&, const DurationValue&) = default;
};

// resource.Quantity in its canonical text ("" is zero). Arithmetic: schema/quantity.h.
struct Quantity {
  Str text;
  Quantity() = default;
  explicit Quantity(std::string_view canonical) : text(canonical) {}
  friend bool operator==(const Quantity&, const Quantity&) = default;
};

struct IntOrString {
  Str text;
  int32_t number = 0;
  bool is_string = false;
  IntOrString() = default;
  IntOrString(int32_t n) : number(n) {}  // NOLINT: implicit by design
  explicit IntOrString(std::string_view t) : text(t), is_string(true) {}
  friend bool operator==(const IntOrString&, const IntOrString&) = default;
};

// Raw bytes of another encoding: JSON text (FieldsV1, apiextensions JSON) or an embedded object (RawExtension: JSON text, or protobuf with
// its magic when it came so). Null is absent.
struct Raw {
  Str bytes;
  friend bool operator==(const Raw&, const Raw&) = default;
};

}  // namespace knarr::schema
