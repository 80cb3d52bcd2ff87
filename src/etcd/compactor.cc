// SPDX-License-Identifier: Apache-2.0
#include "etcd/compactor.h"

#include "etcd/errors.h"
#include "etcd/wire.h"

namespace knarr::etcd {

Task<Status> compact_to(std::shared_ptr<Members> members, int64_t revision) {
  pb::CompactionRequest request;
  request.revision = revision;
  std::string method(kCompact), message = schema::to_proto(request);
  auto answer = co_await members->call(std::move(method), std::move(message), Repeat::kYes);
  co_return answer.status();
}

Task<Result<int64_t>> compact_in_turn(std::shared_ptr<Members> members, CompactionTurn* turn) {
  pb::TxnRequest txn;
  pb::Compare& compare = txn.compare.emplace_back();  // equal, by version
  compare.key = kCompactKey;
  compare.version = turn->time;
  pb::PutRequest& put = txn.success.emplace_back().request_put.ensure();
  put.key = kCompactKey;
  put.value = std::to_string(turn->revision);
  txn.failure.emplace_back().request_range.ensure().key = kCompactKey;
  std::string method(kTxn), message = schema::to_proto(txn);
  auto answer = co_await call_members<pb::TxnResponse>(members, std::move(method), std::move(message), Repeat::kNo);
  if (!answer.ok()) co_return answer.status();
  int64_t now = revision_of(answer->header);
  if (!answer->succeeded) {
    bool told = answer->responses.size() == 1 && answer->responses[0].response_range.has_value() &&
                !answer->responses[0].response_range->kvs.empty();
    if (!told) co_return Status::error("etcd did not tell the compactors' clock");
    *turn = {answer->responses[0].response_range->kvs[0].version, now};
    co_return int64_t{0};
  }
  int64_t target = turn->revision;
  *turn = {turn->time + 1, now};
  if (target == 0) co_return int64_t{0};
  Status status = co_await compact_to(members, target);
  if (!status.ok() && !is_compacted(status)) co_return status;
  co_return target;
}

}  // namespace knarr::etcd
