// SPDX-License-Identifier: Apache-2.0
// Errors as values. A Status is one pointer, null when all is well, so success costs nothing.
//
// Its shape is that of a Kubernetes `Status` object (HTTP code, reason, message, details with causes), because
// that is what an error turns into on the API; nothing here knows more of Kubernetes than that.
// Values are immutable once made, apart from the with_* builders, and may be copied between threads.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace knarr {

// One reason among several, usually one field of a refused object.
struct Cause {
  std::string type;     // "FieldValueInvalid", ...
  std::string message;  // what is wrong, without the field
  std::string field;    // "spec.containers[0].name"
};

struct StatusInfo {
  int code = 500;
  std::string reason;  // "NotFound", "Conflict", ...; empty for an unknown reason
  std::string message;
  // Status.details
  std::string name, group, kind, uid;
  std::vector<Cause> causes;
  int retry_after_seconds = 0;
  std::string continue_token;  // of an expired list: Status.metadata.continue
};

class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  static Status ok_status() { return {}; }
  static Status make(int code, std::string_view reason, std::string_view message);
  static Status from(StatusInfo info);
  // A plain failure inside the program (500 InternalError on the API).
  static Status error(std::string_view message) { return make(500, "InternalError", message); }
  // errno of a failed system call, worded "what: strerror".
  static Status from_errno(std::string_view what, int error);

  bool ok() const { return info_ == nullptr; }
  explicit operator bool() const = delete;  // say ok()
  int code() const { return info_ ? info_->code : 200; }
  std::string_view reason() const { return info_ ? std::string_view(info_->reason) : ""; }
  std::string_view message() const { return info_ ? std::string_view(info_->message) : ""; }
  const StatusInfo* info() const { return info_.get(); }
  bool is(std::string_view reason) const { return info_ && info_->reason == reason; }

  // The same failure with "context: " before its message.
  Status with_context(std::string_view context) const;
  Status with_cause(Cause cause) const;
  Status with_retry_after(int seconds) const;

 private:
  std::shared_ptr<const StatusInfo> info_;
};

// A value or the reason why there is none. Reading the value of a failed Result is a programming error (CHECK).
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}             // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) {}     // NOLINT
  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return std::move(*value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return std::move(*value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  Status status_;
  std::optional<T> value_;
};

[[noreturn]] void check_failed(const char* expression, const char* file, int line);

}  // namespace knarr

// Always on. For programming errors only: input never fails a CHECK.
#define KNARR_CHECK(expression) \
  (static_cast<bool>(expression) ? void() : ::knarr::check_failed(#expression, __FILE__, __LINE__))

#define KNARR_CONCAT_(a, b) a##b
#define KNARR_CONCAT(a, b) KNARR_CONCAT_(a, b)
// TRY(status) leaves the function when the status is a failure; TRY_ASSIGN(auto x, result) names the value.
// CO_TRY and CO_TRY_ASSIGN are the same inside coroutines; give them a named value or a call, never a co_await
// (g++ 12 miscompiles some): `auto r = co_await f(); CO_TRY_ASSIGN(auto x, r);`
#define TRY(expression)                                            \
  do {                                                             \
    if (::knarr::Status status_of_try = (expression); !status_of_try.ok()) return status_of_try; \
  } while (false)
#define CO_TRY(expression)                                         \
  do {                                                             \
    if (::knarr::Status status_of_try = (expression); !status_of_try.ok()) co_return status_of_try; \
  } while (false)
#define KNARR_TRY_ASSIGN_(target, expression, temporary, leave) \
  auto&& temporary = (expression);                              \
  if (!temporary.ok()) leave temporary.status();                \
  target = std::move(*temporary)
#define TRY_ASSIGN(target, expression) \
  KNARR_TRY_ASSIGN_(target, expression, KNARR_CONCAT(result_of_try_, __LINE__), return)
#define CO_TRY_ASSIGN(target, expression) \
  KNARR_TRY_ASSIGN_(target, expression, KNARR_CONCAT(result_of_try_, __LINE__), co_return)
