// SPDX-License-Identifier: Apache-2.0
// From a question to an answer: checks, the cluster's zone, the cache, other servers; CoreDNS' plugin chain in one function. One executor.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "dns/cache.h"
#include "dns/cluster_zone.h"
#include "dns/forwarder.h"
#include "dns/message.h"

namespace knarr::dns {

struct ResolverOptions {
  std::optional<CacheOptions> cache;  // of other servers' answers
  bool shuffle = false;               // addresses come in another order each time
};

// `source` names the plugin that the answer came from, for metrics; "" when none did.
struct Reply {
  Message message;
  const char* source = "";
};

class Resolver {
 public:
  // `zone` and `forwarder` may be null; both outlive the resolver.
  Resolver(const ClusterZone* zone, Forwarder* forwarder, const Clock& clock, ResolverOptions options);

  // The answer when it needs no other server.
  std::optional<Reply> answer_now(const Message& query);
  // Any answer; called when answer_now() has none.
  Task<Reply> answer(Message query, bool tcp);

  // Asks its upstreams for a name that nobody else knows: when that question comes back here, forwarding would go round for ever, and is ended.
  Task<void> probe_for_loop();
  bool in_loop() const { return in_loop_; }
  const AnswerCache* cache() const { return cache_ ? &*cache_ : nullptr; }

 private:
  std::optional<Message> from_zone(const Message& query, std::optional<Name>* elsewhere);
  void shuffle(Message* message) const;

  const ClusterZone* zone_;
  Forwarder* forwarder_;
  std::optional<AnswerCache> cache_;
  bool shuffle_;
  std::optional<Question> probe_;
  bool in_loop_ = false;
};

// What a query is refused with before anybody looks at its name; nullopt when it is fine.
std::optional<Message> refuse_query(const Message& query);

}  // namespace knarr::dns
