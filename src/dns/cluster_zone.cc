// SPDX-License-Identifier: Apache-2.0
#include "dns/cluster_zone.h"

#include <absl/container/flat_hash_set.h>
#include <arpa/inet.h>
#include <fmt/core.h>

#include <algorithm>

namespace knarr::dns {
namespace {

using api::core_v1::Service;
using api::discovery_v1::Endpoint;
using api::discovery_v1::EndpointSlice;

constexpr const char* kSchemaVersion = "1.1.0";
constexpr uint32_t kSchemaTtl = 28800;
constexpr uint32_t kMaxSoaTtl = 300;
constexpr int kMaxAliases = 8;

bool is_address(std::string_view text) {
  char bytes[sizeof(in6_addr)];
  std::string copy(text);
  return inet_pton(AF_INET, copy.c_str(), bytes) == 1 || inet_pton(AF_INET6, copy.c_str(), bytes) == 1;
}

bool equal_fold(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

bool is_headless(const Service& service) { return service.spec.cluster_ip == "None"; }

std::string_view without_underscore(std::string_view label) {
  if (label.starts_with('_')) label.remove_prefix(1);
  return label;
}

}  // namespace

struct ClusterZone::Host {
  std::string value;   // an address, or the name that this one is an alias of
  std::string owner;   // the name of SRV's target, relative to the zone
  int32_t port = -1;   // -1: there is none
  bool alias = false;
};

struct ClusterZone::Found {
  bool exists = false;
  std::vector<Host> hosts;
};

// All lower-case; what is not in the name is empty.
struct ClusterZone::Request {
  std::string kind;  // "svc", "pod" or "" for the zone itself
  std::string ns, service, endpoint, port, protocol;
  bool wants(std::string_view port_name, std::string_view port_protocol) const {
    return (port.empty() || equal_fold(port, port_name)) && (protocol.empty() || equal_fold(protocol, port_protocol));
  }
};

ClusterZone::ClusterZone(const ServiceSource& source, ZoneOptions options) : source_(source), options_(std::move(options)) {
  for (const Name& zone : options_.zones) {
    std::string key = zone.key();
    bool reverse = key.ends_with(Name::of("in-addr.arpa").wire()) || key.ends_with(Name::of("ip6.arpa").wire());
    if (primary_ == nullptr && !reverse) primary_ = &zone;
  }
  if (primary_ == nullptr && !options_.zones.empty()) primary_ = &options_.zones.front();
}

const Name* ClusterZone::zone_of(const Name& name) const {
  const Name* best = nullptr;
  for (const Name& zone : options_.zones)
    if (name.is_within(zone) && (best == nullptr || zone.wire().size() > best->wire().size())) best = &zone;
  return best;
}

// nullopt: no name of this zone can look like that.
std::optional<ClusterZone::Request> ClusterZone::parse(const Name& name, const Name& zone) {
  std::string key = name.key();
  Name folded = Name::from_wire(key.substr(0, key.size() - zone.wire().size()) + std::string(1, '\0'));
  std::vector<std::string_view> labels = folded.labels();
  Request request;
  auto take = [&labels](std::string* out) {
    if (labels.empty()) return;
    *out = labels.back();
    labels.pop_back();
  };
  take(&request.kind);
  if (!request.kind.empty() && request.kind != "svc" && request.kind != "pod") return std::nullopt;
  take(&request.ns);
  take(&request.service);
  if (labels.size() == 1) {
    take(&request.endpoint);
  } else if (labels.size() == 2) {
    request.protocol = without_underscore(labels[1]);
    request.port = without_underscore(labels[0]);
  } else if (!labels.empty()) {
    return std::nullopt;
  }
  return request;
}

bool ClusterZone::exposed(std::string_view ns) const {
  const auto& only = options_.namespaces;
  if (!only.empty() && std::find(only.begin(), only.end(), ns) == only.end()) return false;
  return source_.has_namespace(ns);
}

ClusterZone::Found ClusterZone::find(const Name& name, const Name& zone) const {
  Found found;
  std::optional<Request> request = parse(name, zone);
  if (!request) {
    // Names that the zone has beside services and pods; they have no addresses, except ns.dns.
    std::string key = name.key();
    for (const char* known : {"dns", "dns-version"})
      if (auto full = zone.with_prefix(known); full.ok() && full->key() == key) found.exists = true;
    if (auto server = zone.with_prefix("ns.dns"); server.ok() && server->key() == key) {
      found = name_servers();
      found.exists = true;
    }
    return found;
  }
  if (request->ns.empty()) {
    found.exists = true;
    return found;
  }
  if (!exposed(request->ns)) return found;
  if (request->service.empty()) {
    found.exists = true;
    return found;
  }
  return request->kind == "pod" ? find_pod(*request) : find_service(*request);
}

ClusterZone::Found ClusterZone::find_pod(const Request& request) const {
  Found found;
  if (options_.pods == PodMode::kDisabled) return found;
  std::string address = request.service;
  bool v4 = std::count(address.begin(), address.end(), '-') == 3 && address.find("--") == std::string::npos;
  std::replace(address.begin(), address.end(), '-', v4 ? '.' : ':');
  if (!is_address(address)) return found;
  found.exists = true;
  found.hosts.push_back({address, request.service + "." + request.ns + ".pod", 0, false});
  return found;
}

ClusterZone::Found ClusterZone::find_service(const Request& request) const {
  Found found;
  auto service = source_.service(request.ns, request.service);
  if (service == nullptr) return found;
  if (service->spec.type == "ExternalName") {
    // Neither endpoints nor ports are below an alias.
    if (!request.endpoint.empty() || !request.port.empty() || !request.protocol.empty() || is_address(service->spec.external_name)) return found;
    found.exists = true;
    found.hosts.push_back({service->spec.external_name.str(), "", -1, true});
    return found;
  }
  // _tcp.NAME: between the service and its ports stands a name without records.
  if (request.endpoint.starts_with('_')) {
    for (const auto& port : service->spec.ports) found.exists |= equal_fold(without_underscore(request.endpoint), port.protocol);
    return found;
  }
  if (is_headless(*service) || !request.endpoint.empty()) {
    add_endpoints(request, &found);
    return found;
  }
  if (options_.ignore_empty_service) {
    Found endpoints;
    add_endpoints(Request{request.kind, request.ns, request.service, "", "", ""}, &endpoints);
    if (!endpoints.exists) return found;
  }
  std::string owner = request.service + "." + request.ns + ".svc";
  auto add = [&](int32_t number) {
    found.exists = true;
    for (const auto& address : service->spec.cluster_ips) found.hosts.push_back({address.str(), owner, number, false});
  };
  for (const auto& port : service->spec.ports)
    if (request.wants(port.name, port.protocol)) add(port.port);
  if (service->spec.ports.empty() && request.wants("", "")) add(-1);
  return found;
}

void ClusterZone::add_endpoints(const Request& request, Found* found) const {
  std::string owner = "." + request.service + "." + request.ns + ".svc";
  source_.for_slices(request.ns, request.service, [&](const EndpointSlice& slice) {
    for (const Endpoint& endpoint : slice.endpoints) {
      if (!is_ready(endpoint)) continue;
      for (const auto& address : endpoint.addresses) {
        std::string name = endpoint_name(endpoint, address);
        if (!request.endpoint.empty() && !equal_fold(request.endpoint, name)) continue;
        auto add = [&](int32_t number) {
          found->exists = true;
          found->hosts.push_back({address.str(), name + owner, number, false});
        };
        for (const auto& port : slice.ports)
          if (request.wants(port.name.value_or(""), port.protocol.value_or(""))) add(port.port.value_or(-1));
        if (slice.ports.empty() && request.wants("", "")) add(-1);
      }
    }
  });
}

std::string ClusterZone::endpoint_name(const Endpoint& endpoint, std::string_view address) const {
  if (endpoint.hostname.has_value() && !endpoint.hostname->empty()) return endpoint.hostname->str();
  if (options_.endpoint_pod_names && endpoint.target_ref && !endpoint.target_ref->name.empty() && endpoint.target_ref->name.size() <= kMaxLabel)
    return endpoint.target_ref->name.str();
  std::string name(address);
  for (char& c : name)
    if (c == '.' || c == ':') c = '-';
  return name;
}

ClusterZone::Found ClusterZone::name_servers() const {
  Found found;
  for (const std::string& local : options_.local_addresses) {
    source_.for_slices_at(local, [&](const EndpointSlice& slice) {
      std::string_view name = schema::get_or_empty(slice.metadata.labels, "kubernetes.io/service-name");
      auto service = name.empty() ? nullptr : source_.service(slice.metadata.namespace_, name);
      if (service == nullptr) return;
      found.exists = true;
      Request request{"svc", slice.metadata.namespace_.str(), std::string(name), "", "", ""};
      if (is_headless(*service)) return add_endpoints(request, &found);
      for (const auto& address : service->spec.cluster_ips)
        found.hosts.push_back({address.str(), request.service + "." + request.ns + ".svc", -1, false});
    });
  }
  if (found.exists) return found;
  for (const std::string& local : options_.local_addresses) found.hosts.push_back({local, "ns.dns", -1, false});
  return found;
}

void ClusterZone::answer_addresses(const Question& question, const Found& found, Answer* answer) const {
  absl::flat_hash_set<std::string_view> seen;
  for (const Host& host : found.hosts) {
    if (host.alias || !seen.insert(host.value).second) continue;
    if (auto record = address_record(question.name, question.type, options_.ttl, host.value)) answer->answers.push_back(std::move(*record));
  }
}

void ClusterZone::answer_services(const Question& question, const Found& found, Answer* answer) const {
  size_t aliases = static_cast<size_t>(std::count_if(found.hosts.begin(), found.hosts.end(), [](const Host& host) { return host.alias; }));
  size_t count = found.hosts.size() - aliases;
  auto weight = static_cast<uint16_t>(std::max<size_t>(1, count == 0 ? 1 : 100 / count));
  absl::flat_hash_set<std::string> seen;
  for (const Host& host : found.hosts) {
    if (host.alias || host.port < 0) continue;
    Result<Name> target = answer->zone->with_prefix(host.owner);
    if (!target.ok()) continue;
    if (seen.insert(fmt::format("{} {}", host.owner, host.port)).second)
      answer->answers.push_back(srv_record(question.name, options_.ttl, 0, weight, static_cast<uint16_t>(host.port), *target));
    if (!seen.insert(host.owner + " " + host.value).second) continue;
    uint16_t type = host.value.find(':') == std::string::npos ? kA : kAaaa;
    if (auto record = address_record(*target, type, options_.ttl, host.value)) answer->additionals.push_back(std::move(*record));
  }
}

void ClusterZone::answer_name_servers(const Question& question, Answer* answer) const {
  absl::flat_hash_set<std::string> seen;
  for (const Host& host : name_servers().hosts) {
    Result<Name> target = answer->zone->with_prefix(host.owner);
    if (!target.ok()) continue;
    if (seen.insert(host.owner).second) answer->answers.push_back(name_record(question.name, kNs, options_.ttl, *target));
    uint16_t type = host.value.find(':') == std::string::npos ? kA : kAaaa;
    if (auto record = address_record(*target, type, options_.ttl, host.value)) answer->additionals.push_back(std::move(*record));
  }
}

// The service of a cluster IP, else the endpoints of an address. Known addresses have no other records.
std::optional<ClusterZone::Answer> ClusterZone::answer_reverse(const Question& question) const {
  std::string address = address_of_reverse(question.name);
  if (address.empty() || primary_ == nullptr) return std::nullopt;
  std::vector<std::string> owners;
  auto shown = [&](std::string_view ns) { return options_.namespaces.empty() || exposed(ns); };
  source_.for_services_at(address, [&](const Service& service) {
    if (owners.empty() && shown(service.metadata.namespace_))
      owners.push_back(fmt::format("{}.{}.svc", service.metadata.name.view(), service.metadata.namespace_.view()));
  });
  if (owners.empty()) {
    source_.for_slices_at(address, [&](const EndpointSlice& slice) {
      std::string_view service = schema::get_or_empty(slice.metadata.labels, "kubernetes.io/service-name");
      if (service.empty() || !shown(slice.metadata.namespace_)) return;
      for (const Endpoint& endpoint : slice.endpoints) {
        if (!is_ready(endpoint) || std::find(endpoint.addresses.begin(), endpoint.addresses.end(), address) == endpoint.addresses.end()) continue;
        std::string owner = fmt::format("{}.{}.{}.svc", endpoint_name(endpoint, address), service, slice.metadata.namespace_.view());
        if (std::find(owners.begin(), owners.end(), owner) == owners.end()) owners.push_back(std::move(owner));
      }
    });
  }
  if (owners.empty()) return std::nullopt;
  Answer answer;
  answer.outcome = Outcome::kAnswer;
  for (const std::string& owner : owners) {
    Result<Name> target = primary_->with_prefix(owner);
    if (question.type == kPtr && target.ok()) answer.answers.push_back(name_record(question.name, kPtr, options_.ttl, *target));
  }
  return answer;
}

ClusterZone::Answer ClusterZone::refuse_name(const Question& question, const Name& zone) const {
  Answer answer;
  answer.zone = &zone;
  for (const Name& within : options_.fallthrough)
    if (question.name.is_within(within)) return answer;
  answer.outcome = source_.synced() ? Outcome::kNameError : Outcome::kServerFailure;
  return answer;
}

ClusterZone::Answer ClusterZone::resolve(const Question& question) const {
  Answer answer;
  const Name* zone = zone_of(question.name);
  if (zone == nullptr) return answer;
  answer.zone = zone;
  if (question.type == kAxfr || question.type == kIxfr) {
    answer.outcome = Outcome::kRefused;
    return answer;
  }
  if (auto reverse = answer_reverse(question)) {
    reverse->zone = zone;
    return std::move(*reverse);
  }
  bool apex = question.name == *zone;
  Question at = question;
  const Name* within = zone;
  for (int aliases = 0; aliases <= kMaxAliases; ++aliases) {
    Found found = find(at.name, *within);
    if (!found.exists) {
      // An alias whose target does not exist has no records; only the first name can be unknown.
      if (aliases == 0) return refuse_name(question, *zone);
      answer.answers.clear();
      break;
    }
    const Host* alias = !found.hosts.empty() && found.hosts.front().alias ? &found.hosts.front() : nullptr;
    if (alias == nullptr) {
      if (at.type == kA || at.type == kAaaa) answer_addresses(at, found, &answer);
      if (at.type == kSrv) answer_services(at, found, &answer);
      if (aliases > 0 && answer.answers.size() == static_cast<size_t>(aliases)) answer.answers.clear();
      break;
    }
    Result<Name> target = Name::from_text(alias->value);
    if (!target.ok() || (at.type != kA && at.type != kAaaa && at.type != kCname) || *target == at.name) break;
    answer.answers.push_back(name_record(at.name, kCname, options_.ttl, *target));
    if (at.type == kCname) break;
    const Name* next = zone_of(*target);
    if (next == nullptr) {
      answer.elsewhere = std::move(*target);
      break;
    }
    at.name = std::move(*target);
    within = next;
    if (aliases == kMaxAliases) answer.answers.clear();
  }
  answer.outcome = Outcome::kAnswer;
  if (apex && question.type == kNs) answer_name_servers(question, &answer);
  if (apex && question.type == kSoa) answer.answers.push_back(soa(question.name));
  if (auto version = zone->with_prefix("dns-version"); question.type == kTxt && version.ok() && *version == question.name)
    answer.answers.push_back(txt_record(question.name, kSchemaTtl, kSchemaVersion));
  return answer;
}

Record ClusterZone::soa(const Name& zone) const {
  Soa soa;
  auto primary = zone.with_prefix("ns.dns");
  auto mailbox = zone.with_prefix("hostmaster");
  if (primary.ok()) soa.primary = std::move(*primary);
  if (mailbox.ok()) soa.mailbox = std::move(*mailbox);
  soa.serial = source_.serial();
  soa.minimum = options_.ttl;
  return soa_record(zone, std::min(options_.ttl, kMaxSoaTtl), soa);
}

std::string address_of_reverse(const Name& name) {
  std::string key = name.key();
  Name folded = Name::from_wire(key);
  std::vector<std::string_view> labels = folded.labels();
  if (labels.size() == 6 && key.ends_with(Name::of("in-addr.arpa").wire())) {
    std::string text = fmt::format("{}.{}.{}.{}", labels[3], labels[2], labels[1], labels[0]);
    return is_address(text) ? text : "";
  }
  if (labels.size() != 34 || !key.ends_with(Name::of("ip6.arpa").wire())) return "";
  std::string text;
  for (int i = 31; i >= 0; --i) {
    if (labels[i].size() != 1) return "";
    text += labels[i];
    if (i % 4 == 0 && i != 0) text += ':';
  }
  char bytes[sizeof(in6_addr)], shortest[INET6_ADDRSTRLEN];
  if (inet_pton(AF_INET6, text.c_str(), bytes) != 1) return "";
  return inet_ntop(AF_INET6, bytes, shortest, sizeof shortest);
}

}  // namespace knarr::dns
