// SPDX-License-Identifier: Apache-2.0
#include "apiserver/field_errors.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace knarr::apiserver {
namespace {

std::string with_detail(std::string text, std::string_view detail) {
  if (!detail.empty()) text.append(": ").append(detail);
  return text;
}

// The length of the UTF-8 character at `at`, 0 when the bytes there are none.
size_t utf8_length(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : uint8_t{0}; };
  auto continues = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first < 0xE0 && continues(1)) return 2;
  if ((first & 0xF0) == 0xE0 && continues(1) && continues(2)) {
    uint32_t point = (first & 0x0Fu) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu);
    return point < 0x800 || (point >= 0xD800 && point < 0xE000) ? 0 : 3;
  }
  if (first >= 0xF0 && first < 0xF5 && continues(1) && continues(2) && continues(3)) return 4;
  return 0;
}

}  // namespace

std::string Path::text() const {
  std::string text = base_;
  for (uint32_t i = 0; i < count_; ++i) {
    const Step& step = steps_[i];
    if (step.kind == kIndex) {
      text += "[" + std::to_string(step.number) + "]";
    } else {
      if (!text.empty()) text += '.';
      text.append(step.name, step.number);
    }
  }
  return text;
}

Path Path::with(Step step) const {
  Path made = count_ < kMaxSteps ? *this : Path(text());
  made.steps_[made.count_++] = step;
  return made;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    auto c = static_cast<uint8_t>(text[i]);
    size_t length = utf8_length(text, i);
    char buffer[8];
    if (length == 0) {
      std::snprintf(buffer, sizeof buffer, "\\x%02x", c);
      out += buffer;
      ++i;
      continue;
    }
    if (length > 1) {
      out.append(text.substr(i, length));
      i += length;
      continue;
    }
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\a': out += "\\a"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\v': out += "\\v"; break;
      default:
        if (c < 0x20 || c == 0x7F) {
          std::snprintf(buffer, sizeof buffer, "\\x%02x", c);
          out += buffer;
        } else {
          out += static_cast<char>(c);
        }
    }
    ++i;
  }
  out += '"';
  return out;
}

void FieldErrors::required(const Path& path, std::string_view detail) {
  causes_.push_back({"FieldValueRequired", with_detail("Required value", detail), path.text()});
}

void FieldErrors::invalid(const Path& path, std::string_view value, std::string_view detail) {
  // Upstream leaves out some values on purpose.
  std::string text = value.empty() ? "Invalid value" : "Invalid value: " + std::string(value);
  causes_.push_back({"FieldValueInvalid", with_detail(std::move(text), detail), path.text()});
}

void FieldErrors::not_supported(const Path& path, std::string_view value, const std::vector<std::string_view>& valid) {
  std::string detail;
  if (!valid.empty()) {
    // Upstream prints the valid values quoted, in the order given.
    detail = "supported values: ";
    for (size_t i = 0; i < valid.size(); ++i) {
      if (i > 0) detail += ", ";
      detail += quoted(valid[i]);
    }
  }
  causes_.push_back({"FieldValueNotSupported", with_detail("Unsupported value: " + std::string(value), detail), path.text()});
}

void FieldErrors::duplicate(const Path& path, std::string_view value) {
  causes_.push_back({"FieldValueDuplicate", "Duplicate value: " + std::string(value), path.text()});
}

void FieldErrors::forbidden(const Path& path, std::string_view detail) {
  causes_.push_back({"FieldValueForbidden", with_detail("Forbidden", detail), path.text()});
}

void FieldErrors::too_long(const Path& path, std::string_view, int max_length) {
  causes_.push_back({"FieldValueTooLong", "Too long: must have at most " + std::to_string(max_length) + " bytes", path.text()});
}

void FieldErrors::too_many(const Path& path, int actual, int max) {
  causes_.push_back({"FieldValueTooMany",
                     "Too many: " + std::to_string(actual) + ": must have at most " + std::to_string(max) + " items", path.text()});
}

void FieldErrors::not_found(const Path& path, std::string_view value) {
  causes_.push_back({"FieldValueNotFound", "Not found: " + std::string(value), path.text()});
}

Status invalid_status(std::string_view group, std::string_view kind, std::string_view name, const FieldErrors& errors) {
  StatusInfo info;
  info.code = 422;
  info.reason = "Invalid";
  info.group = group;
  info.kind = kind;
  info.name = name;
  info.causes = errors.causes();
  info.message = std::string(kind);
  if (!group.empty()) info.message.append(".").append(group);
  info.message += " " + quoted(name) + " is invalid";
  // An aggregate prints each text once, in brackets when there are several.
  std::vector<std::string> texts;
  for (const Cause& cause : errors.causes()) {
    std::string text = cause.field + ": " + cause.message;
    if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(std::move(text));
  }
  if (texts.size() == 1) info.message += ": " + texts[0];
  if (texts.size() > 1) {
    info.message += ": [";
    for (size_t i = 0; i < texts.size(); ++i) info.message.append(i > 0 ? ", " : "").append(texts[i]);
    info.message += "]";
  }
  return Status::from(std::move(info));
}

}  // namespace knarr::apiserver
