// SPDX-License-Identifier: Apache-2.0
#include "etcd/errors.h"

#include <string>

#include "store/errors.h"

namespace knarr::etcd {
namespace {

bool says(const Status& status, std::string_view text) { return status.message().find(text) != std::string_view::npos; }

}  // namespace

bool is_compacted(const Status& grpc) { return says(grpc, "required revision has been compacted"); }
bool is_future_revision(const Status& grpc) { return says(grpc, "required revision is a future revision"); }
bool is_member_trouble(const Status& grpc) { return grpc.is("Unavailable") || grpc.is("DeadlineExceeded"); }

Status store_error(const Status& grpc) {
  if (grpc.ok()) return grpc;
  if (is_compacted(grpc)) return store::list_expired();
  if (says(grpc, "database space exceeded")) return store::out_of_space();
  if (grpc.is("DeadlineExceeded")) return Status::make(504, "Timeout", "context deadline exceeded");
  if (grpc.message().starts_with("etcdserver: ")) return Status::make(500, "", grpc.message());
  return Status::make(500, "", "rpc error: code = " + std::string(grpc.reason()) + " desc = " + std::string(grpc.message()));
}

}  // namespace knarr::etcd
