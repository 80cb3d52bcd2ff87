// SPDX-License-Identifier: Apache-2.0
// Names and amounts of resources (cpu, memory, pods, example.com/gpu): which there are, and what is
// valid where. Pure functions.
#pragma once

#include <string_view>

#include "apiserver/strategy/validators.h"
#include "schema/quantity.h"

namespace knarr::apiserver {

bool is_huge_page_resource(std::string_view name);  // hugepages-2Mi
bool is_native_resource(std::string_view name);     // without a domain, or of kubernetes.io
bool is_extended_resource(std::string_view name);   // example.com/gpu
bool is_overcommit_allowed(std::string_view name);
bool is_standard_container_resource(std::string_view name);
bool is_standard_quota_resource(std::string_view name);
bool is_integer_resource(std::string_view name);

void validate_resource_name(std::string_view name, const Path& path, FieldErrors& errors);
void validate_container_resource_name(std::string_view name, const Path& path, FieldErrors& errors);
void validate_quota_resource_name(std::string_view name, const Path& path, FieldErrors& errors);
// Not negative, and whole for what is counted in pieces.
void validate_resource_quantity(std::string_view name, const schema::Quantity& quantity,
                                const Path& path, FieldErrors& errors);
void validate_positive_quantity(const schema::Quantity& quantity, const Path& path,
                                FieldErrors& errors);
void validate_basic_quantity(const schema::Quantity& quantity, const Path& path,
                             FieldErrors& errors);

}  // namespace knarr::apiserver
