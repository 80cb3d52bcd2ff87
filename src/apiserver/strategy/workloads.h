// SPDX-License-Identifier: Apache-2.0
// What the kinds that make pods from a template have in common.
#pragma once

#include "apiserver/strategy.h"
#include "apiserver/strategy/pod.h"
#include "schema/selector.h"

namespace knarr::apiserver {

std::string go_selector(const meta::LabelSelector&
                            selector);  // v1.LabelSelector{MatchLabels:..., MatchExpressions:...}
std::string go_int_or_string(
    const schema::IntOrString& value);  // intstr.IntOrString{Type:0, IntVal:1, StrVal:""}

inline std::string go_selector(const schema::Box<meta::LabelSelector>& selector) {
  return selector ? go_selector(*selector) : "null";
}

// Required, well formed and not empty (`kind` in "empty selector is invalid for KIND").
void validate_workload_selector(const schema::Box<meta::LabelSelector>& selector,
                                std::string_view kind, const Path& path, FieldErrors& errors);
// The selector matches the labels of the template, which says restartPolicy Always and has no
// deadline. `kind` as in messages: "ReplicaSet".
void validate_selected_template(const core::PodTemplateSpec& spec,
                                const schema::LabelSelector& selector, std::string_view kind,
                                const Path& path, const PodOptions& options, FieldErrors& errors);
void validate_int_or_percent(const schema::IntOrString& value, const Path& path,
                             FieldErrors& errors);  // not negative
void validate_at_most_100_percent(const schema::IntOrString& value, const Path& path,
                                  FieldErrors& errors);
int int_or_percent(const schema::IntOrString& value);  // the number before the %
// Status numbers that controllers report.
void validate_not_above(int32_t value, int32_t most, const Path& path, std::string_view message,
                        FieldErrors& errors);
void validate_collision_count(const Opt<int32_t>& now, const Opt<int32_t>& before,
                              FieldErrors& errors);
void validate_selector_unchanged(const schema::Box<meta::LabelSelector>& now,
                                 const schema::Box<meta::LabelSelector>& before,
                                 FieldErrors& errors);

// metadata.name becomes part of pods' host names: what upstream warns of.
void warn_of_name(WriteContext& context, const Str& name);

}  // namespace knarr::apiserver
