// SPDX-License-Identifier: Apache-2.0
// The cluster's names, by the Kubernetes DNS specification 1.1.0 and CoreDNS' kubernetes plugin 1.11: what a question about them is answered with.
//
// Answers are made from the informers' objects at each question, so there is nothing to keep in step. One executor.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dns/message.h"
#include "dns/service_source.h"

namespace knarr::dns {

enum class PodMode { kDisabled, kInsecure };

struct ZoneOptions {
  std::vector<Name> zones;        // cluster.local, and reverse zones (in-addr.arpa)
  std::vector<Name> fallthrough;  // names within these that are not found are the next resolver's
  uint32_t ttl = 5;               // seconds
  PodMode pods = PodMode::kDisabled;
  bool endpoint_pod_names = false;           // endpoints without a host name go by their pod's
  bool ignore_empty_service = false;         // a cluster IP without ready endpoints does not exist
  std::vector<std::string> namespaces;       // only these; empty = all
  std::vector<std::string> local_addresses;  // of the server itself: who the zone's name server is
};

class ClusterZone {
 public:
  ClusterZone(const ServiceSource& source, ZoneOptions options);

  enum class Outcome {
    kNotMine,        // outside the zones, or falls through
    kAnswer,         // records, perhaps none (the name exists, but not with this type)
    kNameError,
    kRefused,        // zone transfers
    kServerFailure,  // not synced yet
  };
  struct Answer {
    Outcome outcome = Outcome::kNotMine;
    std::vector<Record> answers, additionals;
    // The last answer is a CNAME that leaves the zones: what it points to has to be looked up elsewhere.
    std::optional<Name> elsewhere;
    const Name* zone = nullptr;
  };
  Answer resolve(const Question& question) const;
  // For denials: the zone's SOA.
  Record soa(const Name& zone) const;
  bool synced() const { return source_.synced(); }

 private:
  struct Host;     // an address or an alias that a name stands for
  struct Request;  // the parts of a name within a zone
  struct Found;
  const Name* zone_of(const Name& name) const;
  Answer refuse_name(const Question& question, const Name& zone) const;
  static std::optional<Request> parse(const Name& name, const Name& zone);
  bool exposed(std::string_view ns) const;
  Found find(const Name& name, const Name& zone) const;
  Found find_pod(const Request& request) const;
  Found find_service(const Request& request) const;
  void add_endpoints(const Request& request, Found* found) const;
  Found name_servers() const;
  std::string endpoint_name(const api::discovery_v1::Endpoint& endpoint, std::string_view address) const;
  void answer_addresses(const Question& question, const Found& found, Answer* answer) const;
  void answer_services(const Question& question, const Found& found, Answer* answer) const;
  void answer_name_servers(const Question& question, Answer* answer) const;
  std::optional<Answer> answer_reverse(const Question& question) const;

  const ServiceSource& source_;
  ZoneOptions options_;
  const Name* primary_ = nullptr;  // the first zone that is not a reverse one
};

// The address that a name of in-addr.arpa or ip6.arpa stands for; "" when it is not a whole one.
std::string address_of_reverse(const Name& name);

}  // namespace knarr::dns
