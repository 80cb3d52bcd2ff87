// SPDX-License-Identifier: Apache-2.0
#include "dns/resolver.h"

#include <fmt/core.h>

#include <algorithm>
#include <random>

namespace knarr::dns {
namespace {

constexpr uint8_t kQuery = 0;

uint32_t random_number() {
  static thread_local std::minstd_rand generator(std::random_device{}());
  return static_cast<uint32_t>(generator());
}

}  // namespace

std::optional<Message> refuse_query(const Message& query) {
  if (query.opcode != kQuery) return reply_to(query, kNotImplemented);
  if (query.questions.size() != 1) return reply_to(query, kFormatError);
  if (query.edns && query.edns->version != 0) return reply_to(query, kBadVersion);
  if (query.questions.front().klass != kInternet) return reply_to(query, kRefused);
  return std::nullopt;
}

Resolver::Resolver(const ClusterZone* zone, Forwarder* forwarder, const Clock& clock, ResolverOptions options)
    : zone_(zone), forwarder_(forwarder), shuffle_(options.shuffle) {
  if (options.cache) cache_.emplace(clock, *options.cache);
}

Task<void> Resolver::probe_for_loop() {
  if (forwarder_ == nullptr || !forwarder_->has_upstreams()) co_return;
  std::random_device device;
  Message query;
  query.recursion_desired = true;
  Question& question = query.questions.emplace_back();
  question.name = Name::of(fmt::format("{}.{}", uint64_t{device()} << 31 | device(), uint64_t{device()} << 31 | device()));
  question.type = kHinfo;
  probe_ = question;
  Message answer = co_await forwarder_->ask(std::move(query), false);
  probe_.reset();
}

void Resolver::shuffle(Message* message) const {
  if (!shuffle_) return;
  // Aliases stay in front of what they lead to.
  for (auto* section : {&message->answers, &message->additionals}) {
    auto is_address = [](const Record& record) { return record.type == kA || record.type == kAaaa; };
    auto first = std::stable_partition(section->begin(), section->end(), [&](const Record& record) { return !is_address(record); });
    for (auto at = first; at != section->end(); ++at) {
      auto left = static_cast<uint32_t>(section->end() - at);
      std::iter_swap(at, at + random_number() % left);
    }
  }
}

std::optional<Message> Resolver::from_zone(const Message& query, std::optional<Name>* elsewhere) {
  if (zone_ == nullptr) return std::nullopt;
  ClusterZone::Answer found = zone_->resolve(query.questions.front());
  if (found.outcome == ClusterZone::Outcome::kNotMine) return std::nullopt;
  Message reply = reply_to(query, kNoError);
  switch (found.outcome) {
    case ClusterZone::Outcome::kRefused: reply.rcode = kRefused; return reply;
    case ClusterZone::Outcome::kNameError: reply.rcode = kNameError; break;
    case ClusterZone::Outcome::kServerFailure: reply.rcode = kServerFailure; break;
    default: break;
  }
  reply.authoritative = true;
  reply.answers = std::move(found.answers);
  reply.additionals = std::move(found.additionals);
  if (reply.answers.empty()) reply.authorities.push_back(zone_->soa(*found.zone));
  *elsewhere = std::move(found.elsewhere);
  return reply;
}

std::optional<Reply> Resolver::answer_now(const Message& query) {
  if (auto refusal = refuse_query(query)) return Reply{std::move(*refusal)};
  std::optional<Name> elsewhere;
  if (auto reply = from_zone(query, &elsewhere)) {
    if (elsewhere) return std::nullopt;
    shuffle(&*reply);
    return Reply{std::move(*reply), "kubernetes"};
  }
  if (cache_) {
    if (auto reply = cache_->get(query)) {
      shuffle(&*reply);
      return Reply{std::move(*reply), "cache"};
    }
  }
  if (probe_ && *probe_ == query.questions.front()) {
    in_loop_ = true;
    return Reply{reply_to(query, kNameError), "loop"};
  }
  if (forwarder_ == nullptr || !forwarder_->takes(query.questions.front().name)) return Reply{reply_to(query, kRefused)};
  if (!forwarder_->has_upstreams() || in_loop_) return Reply{reply_to(query, kServerFailure), "forward"};
  return std::nullopt;
}

Task<Reply> Resolver::answer(Message query, bool tcp) {
  std::optional<Name> elsewhere;
  std::optional<Message> own = from_zone(query, &elsewhere);
  if (own) {
    if (elsewhere) {
      // An alias of a name outside the cluster: its records come behind it, as far as they can be had.
      Message inner = query;
      inner.recursion_desired = true;
      inner.questions.front().name = std::move(*elsewhere);
      std::optional<Reply> rest = answer_now(inner);
      if (!rest) rest = co_await answer(std::move(inner), tcp);
      for (Record& record : rest->message.answers) own->answers.push_back(std::move(record));
      own->truncated = rest->message.truncated;
    }
    shuffle(&*own);
    co_return Reply{std::move(*own), "kubernetes"};
  }
  Message asked = query;
  Message answer = co_await forwarder_->ask(std::move(asked), tcp);
  if (cache_) cache_->put(query, &answer);
  answer.edns = query.edns;
  if (!(query.edns && query.edns->dnssec_ok) && !query.authentic_data) answer.authentic_data = false;
  shuffle(&answer);
  co_return Reply{std::move(answer), "forward"};
}

}  // namespace knarr::dns
