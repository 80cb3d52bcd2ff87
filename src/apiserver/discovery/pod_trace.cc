// SPDX-License-Identifier: Apache-2.0
#include "apiserver/discovery/pod_trace.h"

#include "apiserver/core.h"
#include "trace/answer.h"

namespace knarr::apiserver::discovery {

Task<Status> serve_pod_trace(RequestContext& context) {
  auto answer = trace::answer_query(context.core.trace(), context.request.query);
  if (!answer.ok()) co_return answer.status();
  Body body{std::string_view(*answer)};
  Status status = co_await respond_raw(context, 200, "application/json", std::move(body));
  co_return status;
}

}  // namespace knarr::apiserver::discovery
