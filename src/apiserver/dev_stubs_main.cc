// SPDX-License-Identifier: Apache-2.0
// Stands in for parts of the server that are not written yet. Weak: the real ones win. Goes away with the last of them.
#include "apiserver/admission/admission.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/subresource_handlers.h"
#include "apiserver/table.h"

namespace knarr::apiserver {

#define NONE(name) [[gnu::weak]] std::span<const Strategy> name() { return {}; }
NONE(service_strategies)
NONE(storage_strategies)
NONE(networking_strategies)
NONE(rbac_strategies)
NONE(certificate_strategies)
NONE(autoscaling_strategies)
NONE(policy_strategies)
NONE(small_strategies)
NONE(registration_strategies)
NONE(flowcontrol_strategies)
#undef NONE

[[gnu::weak]] std::span<const SubresourceHandler> subresource_handlers() { return {}; }
[[gnu::weak]] RenderedTable render_table(const TableInput& input) {
  RenderedTable table;
  table.columns = {{"Name", "string", "name", "", 0, ""}};
  for (size_t i = 0; i < input.objects.size(); ++i) table.rows.push_back({json::Value("?")});
  return table;
}
namespace admission {
[[gnu::weak]] std::span<const Plugin> plugins() { return {}; }
}  // namespace admission

}  // namespace knarr::apiserver
