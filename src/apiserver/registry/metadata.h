// SPDX-License-Identifier: Apache-2.0
// What is the same for the metadata of every kind (upstream: apimachinery's api/validation/objectmeta.go, apiserver's registry/rest).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/meta_v1.h"
#include "apiserver/field_errors.h"
#include "apiserver/strategy.h"

namespace knarr::apiserver {

// Name rules, worded as k8s.io/apimachinery's util/validation; empty when the name is good. With `prefix` it is the start of a generated name.
std::vector<std::string> dns_subdomain_problems(std::string_view name, bool prefix);
std::vector<std::string> dns_label_problems(std::string_view name, bool prefix);
std::vector<std::string> path_segment_problems(std::string_view name, bool prefix);

using NameProblems = std::vector<std::string> (*)(std::string_view name, bool prefix);
void validate_metadata(const api::meta_v1::ObjectMeta& meta, bool namespaced, NameProblems name_problems, FieldErrors& errors);
void validate_metadata_update(const api::meta_v1::ObjectMeta& meta, const api::meta_v1::ObjectMeta& old, FieldErrors& errors);

// `base` and five random characters.
std::string generate_name(std::string_view base);
std::string new_uid();

// 400 when the object names another namespace than the request; fills an empty one. ns "" for cluster scope.
Status settle_namespace(api::meta_v1::ObjectMeta& meta, std::string_view ns);
// Removes repeated owner references, with a warning.
void dedup_owner_references(api::meta_v1::ObjectMeta& meta, std::vector<std::string>& warnings, bool after_admission);

}  // namespace knarr::apiserver
