// SPDX-License-Identifier: Apache-2.0
#include "kubelet/env/pod_network_files.h"

#include <algorithm>

#include "base/files.h"
#include "kubelet/env/field_path.h"

namespace knarr::kubelet {
namespace core = api::core_v1;
namespace {

constexpr size_t kMaxHostname = 63;  // the kernel's 64 bytes hold a terminating zero
constexpr size_t kMaxFqdn = 64;
constexpr size_t kMaxNameservers = 3;
constexpr size_t kMaxSearchPaths = 32;
constexpr size_t kMaxSearchChars = 2048;
constexpr size_t kMaxSearchPath = 253;
constexpr size_t kMaxResolvConf = 10 << 20;

// Empty when `text` is an RFC 1123 label, else upstream's complaint.
std::string label_errors(std::string_view text) {
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  std::string errors;
  if (text.size() > 63) errors = "must be no more than 63 characters";
  bool good = !text.empty() && plain(text.front()) && plain(text.back()) &&
              std::all_of(text.begin(), text.end(), [&](char c) { return plain(c) || c == '-'; });
  if (!good) {
    if (!errors.empty()) errors += ";";
    errors +=
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
        "must start and end with an "
        "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
  }
  return errors;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += separator;
    out += parts[i];
  }
  return out;
}

std::string host_alias_lines(const core::Pod& pod) {
  if (pod.spec.host_aliases.empty()) return {};
  std::string out = "\n# Entries added by HostAliases.\n";
  for (const core::HostAlias& alias : pod.spec.host_aliases) {
    out += alias.ip.view();
    out += '\t';
    for (size_t i = 0; i < alias.hostnames.size(); ++i) {
      if (i > 0) out += '\t';
      out += alias.hostnames[i].view();
    }
    out += '\n';
  }
  return out;
}

// An option as "name" or "name:value"; a later one of the same name replaces an earlier one in its
// place.
void set_option(std::vector<std::string>& options, std::string option) {
  std::string name = option.substr(0, option.find(':'));
  for (std::string& known : options) {
    if (known.substr(0, known.find(':')) == name) {
      known = std::move(option);
      return;
    }
  }
  options.push_back(std::move(option));
}

void add_once(std::vector<std::string>& list, std::string_view text) {
  if (std::find(list.begin(), list.end(), text) == list.end()) list.emplace_back(text);
}

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; };
  size_t at = 0;
  while (at < line.size()) {
    while (at < line.size() && blank(line[at])) ++at;
    size_t end = at;
    while (end < line.size() && !blank(line[end])) ++end;
    if (end > at) fields.push_back(line.substr(at, end - at));
    at = end;
  }
  return fields;
}

void fit_searches(std::vector<std::string>& searches, const DnsEvent& event) {
  bool exceeded = searches.size() > kMaxSearchPaths;
  if (exceeded) searches.resize(kMaxSearchPaths);
  // glibc 2.28 aborts on a search path over 255 characters.
  exceeded |= std::erase_if(searches, [](const std::string& search) {
                return search.size() > kMaxSearchPath;
              }) > 0;
  while (join(searches, " ").size() > kMaxSearchChars) {
    searches.pop_back();
    exceeded = true;
  }
  if (exceeded && event)
    event("Warning", "DNSConfigForming",
          "Search Line limits were exceeded, some search paths have been omitted, the applied "
          "search line is: " +
              join(searches, " "));
}

void fit_servers(std::vector<std::string>& servers, const DnsEvent& event) {
  if (servers.size() <= kMaxNameservers) return;
  servers.resize(kMaxNameservers);
  if (event)
    event("Warning", "DNSConfigForming",
          "Nameserver limits were exceeded, some nameservers have been omitted, the applied "
          "nameserver line is: " +
              join(servers, " "));
}

enum class DnsBase { kCluster, kHost, kNone };

DnsBase dns_base(const core::Pod& pod) {
  std::string_view policy = pod.spec.dns_policy;
  if (policy == "None") return DnsBase::kNone;
  if (policy == "Default") return DnsBase::kHost;
  if (policy == "ClusterFirst" && pod.spec.host_network) return DnsBase::kHost;
  return DnsBase::kCluster;  // ClusterFirst, ClusterFirstWithHostNet, and whatever else slipped
                             // through
}

void use_cluster_dns(const core::Pod& pod, const DnsSettings& settings, ResolvConf& conf) {
  conf.servers = settings.cluster_dns;
  conf.options = {"ndots:5"};
  if (settings.cluster_domain.empty()) return;
  std::vector<std::string> searches;
  const std::string& domain = settings.cluster_domain;
  add_once(searches, pod.metadata.namespace_.str() + ".svc." + domain);
  add_once(searches, "svc." + domain);
  add_once(searches, domain);
  for (const std::string& search : conf.searches) add_once(searches, search);
  conf.searches = std::move(searches);
}

}  // namespace

Result<PodHostname> pod_hostname(const core::Pod& pod, std::string_view cluster_domain) {
  PodHostname made;
  made.hostname = pod.metadata.name.str();
  if (!pod.spec.hostname.empty()) {
    if (std::string errors = label_errors(pod.spec.hostname); !errors.empty())
      return Status::error("pod Hostname " + go_quote(pod.spec.hostname) +
                           " is not a valid DNS label: " + errors);
    made.hostname = pod.spec.hostname.str();
  }
  if (made.hostname.size() > kMaxHostname) {
    std::string whole = made.hostname;
    made.hostname.resize(kMaxHostname);
    while (!made.hostname.empty() && (made.hostname.back() == '-' || made.hostname.back() == '.'))
      made.hostname.pop_back();
    if (made.hostname.empty())
      return Status::error("hostname for pod " + go_quote(pod.metadata.name) +
                           " was invalid: " + go_quote(whole));
  }
  if (!pod.spec.subdomain.empty()) {
    if (std::string errors = label_errors(pod.spec.subdomain); !errors.empty())
      return Status::error("pod Subdomain " + go_quote(pod.spec.subdomain) +
                           " is not a valid DNS label: " + errors);
    made.domain = pod.spec.subdomain.str() + "." + pod.metadata.namespace_.str() + ".svc." +
                  std::string(cluster_domain);
  }
  made.kernel_name = made.hostname;
  if (!made.domain.empty() && pod.spec.set_hostname_as_fqdn.value_or(false)) {
    std::string fqdn = made.hostname + "." + made.domain;
    if (fqdn.size() > kMaxFqdn)
      return Status::error("failed to construct FQDN from pod hostname and cluster domain, FQDN " +
                           fqdn + " is too long (" + std::to_string(kMaxFqdn) +
                           " characters is the max, " + std::to_string(fqdn.size()) +
                           " characters requested)");
    made.kernel_name = std::move(fqdn);
  }
  return made;
}

std::string hosts_file(const core::Pod& pod, const std::vector<std::string>& pod_ips,
                       std::string_view hostname, std::string_view domain,
                       std::string_view node_hosts) {
  if (pod.spec.host_network)
    return "# Kubernetes-managed hosts file (host network).\n" + std::string(node_hosts) +
           host_alias_lines(pod);
  std::string out =
      "# Kubernetes-managed hosts file.\n"
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::0\tip6-localnet\n"
      "fe00::0\tip6-mcastprefix\n"
      "fe00::1\tip6-allnodes\n"
      "fe00::2\tip6-allrouters\n";
  for (const std::string& ip : pod_ips) {
    out += ip + "\t";
    if (!domain.empty()) out += std::string(hostname) + "." + std::string(domain) + "\t";
    out += std::string(hostname) + "\n";
  }
  return out + host_alias_lines(pod);
}

Result<ResolvConf> parse_resolv_conf(std::string_view text) {
  if (text.size() > kMaxResolvConf)
    return Status::error("limit on read at most " + std::to_string(kMaxResolvConf) +
                         " bytes exceeded");
  ResolvConf conf;
  bool nameless = false;
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::vector<std::string_view> fields = fields_of(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (fields.empty() || fields[0].starts_with("#")) continue;
    if (fields[0] == "nameserver") {
      if (fields.size() >= 2) {
        conf.servers.emplace_back(fields[1]);
      } else {
        nameless = true;
      }
    } else if (fields[0] == "search") {
      // The last such line wins. A dot at the end would make two names of one domain.
      conf.searches.clear();
      for (size_t i = 1; i < fields.size(); ++i) {
        if (fields[i] == ".") continue;
        if (fields[i].ends_with('.')) fields[i].remove_suffix(1);
        conf.searches.emplace_back(fields[i]);
      }
    } else if (fields[0] == "options") {
      for (size_t i = 1; i < fields.size(); ++i) set_option(conf.options, std::string(fields[i]));
    }
  }
  if (nameless) return Status::error("nameserver list is empty ");
  return conf;
}

Result<api::cri_v1::DNSConfig> pod_dns_config(const core::Pod& pod, const DnsSettings& settings,
                                              const DnsEvent& event) {
  ResolvConf conf;
  if (!settings.resolv_conf.empty()) {
    TRY_ASSIGN(std::string text, read_file(settings.resolv_conf));
    Result<ResolvConf> parsed = parse_resolv_conf(text);
    if (!parsed.ok())
      return Status::error("Encountered error while parsing resolv conf file. Error: " +
                           std::string(parsed.status().message()));
    conf = std::move(*parsed);
  }
  DnsBase base = dns_base(pod);
  if (base == DnsBase::kCluster && settings.cluster_dns.empty()) {
    if (event)
      event("Warning", "MissingClusterDNS",
            "pod: \"" + pod.metadata.name.str() + "_" + pod.metadata.namespace_.str() + "(" +
                pod.metadata.uid.str() +
                ")\". kubelet does not have ClusterDNS IP configured and cannot create Pod using "
                "\"ClusterFirst\" policy. "
                "Falling back to \"Default\" policy.");
    base = DnsBase::kHost;
  }
  if (base == DnsBase::kNone) {
    conf = {};
  } else if (base == DnsBase::kCluster) {
    use_cluster_dns(pod, settings, conf);
  } else if (settings.resolv_conf.empty()) {
    // No file at all: a resolver without servers would ask the local machine, so say that.
    for (const std::string& address : settings.node_addresses)
      conf.servers.emplace_back(address.find(':') == std::string::npos ? "127.0.0.1" : "::1");
    if (conf.servers.empty()) conf.servers.emplace_back("127.0.0.1");
    conf.searches = {"."};
  }
  if (pod.spec.dns_config) {
    std::vector<std::string> servers, searches;
    for (const std::string& server : conf.servers) add_once(servers, server);
    for (const schema::Str& server : pod.spec.dns_config->nameservers) add_once(servers, server);
    for (const std::string& search : conf.searches) add_once(searches, search);
    for (const schema::Str& search : pod.spec.dns_config->searches) add_once(searches, search);
    conf.servers = std::move(servers);
    conf.searches = std::move(searches);
    for (const core::PodDNSConfigOption& option : pod.spec.dns_config->options) {
      std::string text = option.name.str();
      if (option.value && !option.value->empty()) text += ":" + option.value->str();
      set_option(conf.options, std::move(text));
    }
  }
  fit_servers(conf.servers, event);
  fit_searches(conf.searches, event);
  api::cri_v1::DNSConfig made;
  for (const std::string& text : conf.servers) made.servers.push_back(text);
  for (const std::string& text : conf.searches) made.searches.push_back(text);
  for (const std::string& text : conf.options) made.options.push_back(text);
  return made;
}

}  // namespace knarr::kubelet
