// SPDX-License-Identifier: Apache-2.0
#include "etcd/wire.h"

namespace knarr::etcd {
namespace {

constexpr int32_t kCompareMod = 2;
constexpr int32_t kDeleteEvent = 1;

Status bad_answer(std::string_view what) { return Status::error("etcd answered " + std::string(what)); }

}  // namespace

store::Entry to_entry(const pb::KeyValue& kv) {
  store::Entry entry;
  entry.key = kv.key.str();
  entry.value = Bytes::copy(kv.value.view());
  entry.create_revision = kv.create_revision;
  entry.mod_revision = kv.mod_revision;
  return entry;
}

Result<store::Event> to_event(const pb::Event& event) {
  if (!event.kv.has_value() || event.kv->key.empty()) return bad_answer("an event without a key");
  store::Event out;
  out.key = event.kv->key.str();
  out.revision = event.kv->mod_revision;
  if (event.prev_kv.has_value()) out.previous = Bytes::copy(event.prev_kv->value.view());
  if (event.type == kDeleteEvent) {
    out.kind = store::Event::Kind::kDelete;
    out.create_revision = event.prev_kv.has_value() ? event.prev_kv->create_revision : 0;
  } else {
    out.value = Bytes::copy(event.kv->value.view());
    out.create_revision = event.kv->create_revision;
  }
  return out;
}

void set_bounds(schema::Str& key, schema::Str& range_end, std::string_view start, std::string_view end) {
  constexpr std::string_view kZero("\0", 1);  // as a key the least one, as an end none
  key = start.empty() ? kZero : start;
  range_end = end.empty() ? kZero : end;
}

pb::RangeRequest range_request(const store::RangeRequest& request) {
  pb::RangeRequest out;
  set_bounds(out.key, out.range_end, request.start, request.end);
  out.limit = request.limit;
  out.revision = request.revision;
  out.count_only = request.count_only;
  return out;
}

pb::TxnRequest write_txn(const store::WriteRequest& request, int64_t lease) {
  pb::TxnRequest txn;
  if (request.expected_revision != store::WriteRequest::kAny) {
    pb::Compare& compare = txn.compare.emplace_back();
    compare.target = kCompareMod;
    compare.key = request.key;
    compare.mod_revision = request.expected_revision;
    pb::RangeRequest& now = txn.failure.emplace_back().request_range.ensure();
    now.key = request.key;
  }
  if (request.remove) {
    pb::DeleteRangeRequest& remove = txn.success.emplace_back().request_delete_range.ensure();
    remove.key = request.key;
    remove.prev_kv = true;
  } else {
    pb::PutRequest& put = txn.success.emplace_back().request_put.ensure();
    put.key = request.key;
    put.value = request.value.view();
    put.lease = lease;
  }
  return txn;
}

Result<store::WriteResult> write_result(const store::WriteRequest& request, const pb::TxnResponse& response) {
  store::WriteResult result;
  result.succeeded = response.succeeded;
  result.revision = revision_of(response.header);
  if (result.revision == 0 || response.responses.size() != 1) return bad_answer("an incomplete transaction");
  const pb::ResponseOp& op = response.responses[0];
  if (!response.succeeded) {
    if (!op.response_range.has_value()) return bad_answer("a failed transaction without what there is");
    if (!op.response_range->kvs.empty()) result.current = to_entry(op.response_range->kvs[0]);
    return result;
  }
  if (request.remove) {
    if (!op.response_delete_range.has_value()) return bad_answer("a transaction of another kind");
    if (!op.response_delete_range->prev_kvs.empty()) result.current = to_entry(op.response_delete_range->prev_kvs[0]);
  }
  return result;
}

pb::WatchRequest watch_everything(int64_t start_revision) {
  pb::WatchRequest request;
  pb::WatchCreateRequest& create = request.create_request.ensure();
  set_bounds(create.key, create.range_end, "", "");
  create.start_revision = start_revision;
  create.prev_kv = true;
  create.fragment = true;
  return request;
}

}  // namespace knarr::etcd
