// SPDX-License-Identifier: Apache-2.0
// Memory that is taken in pieces and given back all at once: for the many small values of one request.
//
// Nothing is destroyed, so it holds only what needs no destructor. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace knarr {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Uninitialized room for `count` values.
  template <class T>
  T* allocate(size_t count) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= kAlign);
    const size_t size = (count * sizeof(T) + kAlign - 1) & ~(kAlign - 1);
    if (size > static_cast<size_t>(end_ - at_)) grow(size);
    char* made = at_;
    at_ += size;
    return reinterpret_cast<T*>(made);
  }
  template <class T>
  std::span<const T> copy(std::span<const T> values) {
    if (values.empty()) return {};
    T* made = allocate<T>(values.size());
    std::uninitialized_copy(values.begin(), values.end(), made);
    return {made, values.size()};
  }
  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* made = allocate<char>(text.size());
    std::memcpy(made, text.data(), text.size());
    return {made, text.size()};
  }

 private:
  static constexpr size_t kAlign = 8, kInline = 8192, kChunk = size_t{64} << 10;
  void grow(size_t size) {
    const size_t chunk = size > kChunk ? size : kChunk;
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk));
    at_ = chunks_.back().get();
    end_ = at_ + chunk;
  }

  // The first pieces lie in the arena itself, which is usually on the stack.
  alignas(kAlign) char first_[kInline];
  char* at_ = first_;
  char* end_ = first_ + kInline;
  std::vector<std::unique_ptr<char[]>> chunks_;
};

}  // namespace knarr
