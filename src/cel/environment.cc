// SPDX-License-Identifier: Apache-2.0
#include "cel/environment.h"

namespace knarr::cel {

namespace {

constexpr uint32_t bit(Library library) { return 1u << static_cast<unsigned>(library); }

uint32_t libraries_of(int minor_version) {
  uint32_t libraries = bit(Library::kStandard) | bit(Library::kStrings) | bit(Library::kUrls) |
                       bit(Library::kRegex) | bit(Library::kLists);
  if (minor_version >= 27) libraries |= bit(Library::kAuthorizer);
  if (minor_version >= 28) libraries |= bit(Library::kQuantity) | bit(Library::kOptional);
  return libraries;
}

}  // namespace

Environment::Environment(int minor_version)
    : minor_version_(minor_version),
      libraries_(libraries_of(minor_version)),
      types_(std::make_unique<TypePool>()) {}

size_t Environment::add_variable(std::string_view name, const Type* type) {
  variables_.push_back({std::string(name), type});
  places_[std::string(name)] = variables_.size() - 1;
  return variables_.size() - 1;
}

int Environment::find_variable(std::string_view name) const {
  auto found = places_.find(name);
  return found == places_.end() ? -1 : static_cast<int>(found->second);
}

const Type* Environment::find_type_name(std::string_view name) const {
  static TypePool pool;
  static const std::pair<std::string_view, const Type*> kNames[] = {
      {"int", pool.type_of(&types::kInt)},
      {"uint", pool.type_of(&types::kUint)},
      {"bool", pool.type_of(&types::kBool)},
      {"double", pool.type_of(&types::kDouble)},
      {"bytes", pool.type_of(&types::kBytes)},
      {"string", pool.type_of(&types::kString)},
      {"list", pool.type_of(pool.list(&types::kDyn))},
      {"map", pool.type_of(pool.map(&types::kDyn, &types::kDyn))},
      {"null_type", pool.type_of(&types::kNull)},
      {"type", pool.type_of(&types::kType)},
      {"google.protobuf.Timestamp", pool.type_of(&types::kTimestamp)},
      {"google.protobuf.Duration", pool.type_of(&types::kDuration)},
  };
  for (const auto& [known, type] : kNames)
    if (known == name) return type;
  return nullptr;
}

const Function* Environment::find_function(std::string_view name) const {
  const Function* found = cel::find_function(name.starts_with('.') ? name.substr(1) : name);
  if (found == nullptr) return nullptr;
  for (const Overload& overload : found->overloads)
    if (has(overload)) return found;
  return nullptr;
}

}  // namespace knarr::cel
