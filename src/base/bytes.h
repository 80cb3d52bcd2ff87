// SPDX-License-Identifier: Apache-2.0
// Immutable shared bytes: what the store, the watch cache and the sockets pass around without copying.
//
// Bytes is one reference-counted allocation (8-byte handle, atomic count: may cross threads).
// Slice is a view that keeps its owner alive, or views storage that lives for ever. Body is a chain of slices.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace knarr {

class Bytes {
 public:
  Bytes() = default;
  static Bytes copy(std::string_view text) {
    char* data = nullptr;
    Bytes bytes = allocate(text.size(), &data);
    std::memcpy(data, text.data(), text.size());
    return bytes;
  }
  // `size` bytes for the caller to fill through *data before the handle is shared.
  static Bytes allocate(size_t size, char** data) {
    auto* header = static_cast<Header*>(std::malloc(sizeof(Header) + size));
    if (header == nullptr) std::abort();
    new (header) Header{{1}, size};
    *data = reinterpret_cast<char*>(header + 1);
    Bytes bytes;
    bytes.header_ = header;
    return bytes;
  }
  Bytes(const Bytes& other) : header_(other.header_) {
    if (header_ != nullptr) header_->count.fetch_add(1, std::memory_order_relaxed);
  }
  Bytes(Bytes&& other) noexcept : header_(std::exchange(other.header_, nullptr)) {}
  Bytes& operator=(Bytes other) noexcept {
    std::swap(header_, other.header_);
    return *this;
  }
  ~Bytes() {
    if (header_ != nullptr && header_->count.fetch_sub(1, std::memory_order_acq_rel) == 1)
      std::free(header_);
  }
  std::string_view view() const {
    return header_ == nullptr ? std::string_view()
                              : std::string_view(reinterpret_cast<const char*>(header_ + 1), header_->size);
  }
  size_t size() const { return header_ == nullptr ? 0 : header_->size; }
  bool empty() const { return size() == 0; }
  bool is_null() const { return header_ == nullptr; }

 private:
  struct Header {
    std::atomic<uint32_t> count;
    size_t size;
  };
  Header* header_ = nullptr;
};

struct Slice {
  Bytes owner;  // null when the view's storage is static
  std::string_view view;

  Slice() = default;
  Slice(Bytes bytes) : owner(std::move(bytes)), view(owner.view()) {}  // NOLINT: implicit by design
  static Slice of_static(std::string_view text) {
    Slice slice;
    slice.view = text;
    return slice;
  }
  static Slice copy(std::string_view text) { return Slice(Bytes::copy(text)); }
  Slice sub(size_t offset, size_t size = std::string_view::npos) const {
    Slice slice = *this;
    slice.view = view.substr(offset, size);
    return slice;
  }
};

class Body {
 public:
  Body() = default;
  explicit Body(std::string_view text) { append(Slice::copy(text)); }
  explicit Body(Bytes bytes) { append(Slice(std::move(bytes))); }
  void append(Slice slice) {
    size_ += slice.view.size();
    if (!slice.view.empty()) slices_.push_back(std::move(slice));
  }
  void append(Body other) {
    size_ += other.size_;
    for (Slice& slice : other.slices_) slices_.push_back(std::move(slice));
  }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const std::vector<Slice>& slices() const { return slices_; }
  std::string flatten() const {
    std::string text;
    text.reserve(size_);
    for (const Slice& slice : slices_) text.append(slice.view);
    return text;
  }

 private:
  std::vector<Slice> slices_;
  size_t size_ = 0;
};

}  // namespace knarr
