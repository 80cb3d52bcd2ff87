// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include "kubeadm/config.h"

namespace knarr::kubeadm {
namespace {

constexpr const char* kSubdomainRule =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
constexpr const char* kWildcardRule =
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric "
    "characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is "
    "'\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
constexpr const char* kDualStack = "expected one (IPv4 or IPv6) CIDR or two CIDRs from each family for dual-stack networking";

class Messages {
 public:
  void invalid(const std::string& path, const std::string& value, const std::string& why) { raw(path + ": Invalid value: " + quote(value) + ": " + why); }
  void invalid_number(const std::string& path, int64_t value, const std::string& why) {
    raw(path + ": Invalid value: " + std::to_string(value) + ": " + why);
  }
  void required(const std::string& path, const std::string& why) { raw(path + ": Required value: " + why); }
  void raw(std::string text) { list.push_back(std::move(text)); }
  std::vector<std::string> list;
};

void check_absolute(Messages& out, const std::string& path, const std::string& value) {
  if (!value.starts_with("/")) out.invalid(path, value, "path is not absolute");
}

// name[:port]/part/part, as the image reference grammar has it.
void check_repository(Messages& out, const std::string& path, const std::string& value) {
  bool ok = !value.empty();
  std::vector<std::string> parts = split(value, '/');
  for (size_t i = 0; i < parts.size() && ok; ++i) {
    std::string part = parts[i];
    if (i == 0) part = part.substr(0, part.find(':'));
    ok = !part.empty() && std::all_of(part.begin(), part.end(), [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-' || (i == 0 && c >= 'A' && c <= 'Z');
    });
  }
  if (!ok) out.invalid(path, value, "invalid image repository format");
}

void check_names(Messages& out, const std::string& path, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (!is_dns_subdomain(name) && !is_wildcard_dns(name) && !is_ip(name))
      out.invalid(path, name, std::string("altname is not a valid IP address, DNS label or a DNS label with subdomain wildcards: ") + kSubdomainRule +
                                  "; " + kWildcardRule);
}

std::string cidr_text(const Cidr& cidr) { return *nth_address(cidr, 0) + "/" + std::to_string(cidr.prefix); }

Result<std::vector<Cidr>> parse_cidrs(const std::string& text) {
  std::vector<Cidr> cidrs;
  for (const std::string& one : split(text, ',')) {
    TRY_ASSIGN(Cidr cidr, parse_cidr(one));
    cidrs.push_back(cidr);
  }
  return cidrs;
}

std::vector<Cidr> check_subnets(Messages& out, const std::string& path, const std::string& text, int64_t least) {
  auto cidrs = parse_cidrs(text);
  if (!cidrs.ok()) {
    out.invalid(path, text, "couldn't parse subnet");
    return {};
  }
  if (cidrs->size() > 2 || (cidrs->size() == 2 && (*cidrs)[0].v6 == (*cidrs)[1].v6)) out.invalid(path, text, kDualStack);
  for (const Cidr& cidr : *cidrs) {
    int free_bits = cidr.bits() - cidr.prefix;
    int64_t size = free_bits >= 63 ? INT64_MAX : int64_t{1} << free_bits;
    if (size < least)
      out.invalid(path, cidr_text(cidr), "subnet with " + std::to_string(size) + " address(es) is too small, the minimum is " + std::to_string(least));
  }
  return *cidrs;
}

void check_service_subnet(Messages& out, const ClusterConfiguration& config) {
  constexpr int kMostBits = 20;
  const std::string path = "networking.serviceSubnet";
  for (const Cidr& cidr : check_subnets(out, path, config.service_subnet, 10))
    if (cidr.bits() - cidr.prefix > kMostBits)
      out.invalid(path, cidr_text(cidr), "specified service subnet is too large; for " + std::to_string(cidr.bits()) + "-bit addresses, the mask must be >= " +
                                             std::to_string(cidr.bits() - kMostBits));
}

void check_pod_subnet(Messages& out, const ClusterConfiguration& config) {
  constexpr int kMostDifference = 16;
  const std::string path = "networking.podSubnet";
  std::vector<Cidr> cidrs = check_subnets(out, path, config.pod_subnet, 14);
  const StringMap& args = config.controller_manager.extra_args;
  if (auto found = args.find("allocate-node-cidrs"); found != args.end() && found->second == "false") return;
  for (const Cidr& cidr : cidrs) {
    int node_mask = cidr.v6 ? 64 : 24;
    std::string flag = cidr.v6 ? "node-cidr-mask-size-ipv6" : "node-cidr-mask-size-ipv4";
    if (auto found = args.find(flag); found != args.end() && !found->second.empty()) {
      const std::string& text = found->second;
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), node_mask);
      if (error != std::errc() || end != text.data() + text.size()) {
        out.invalid(path, cidr_text(cidr), "could not parse the value of the kube-controller-manager flag " + flag +
                                               " as an integer: strconv.Atoi: parsing " + quote(text) + ": invalid syntax");
        continue;
      }
    }
    if (cidr.prefix > node_mask)
      out.invalid(path, cidr_text(cidr), "the size of pod subnet with mask " + std::to_string(cidr.prefix) + " is smaller than the size of node subnet with mask " +
                                             std::to_string(node_mask));
    else if (node_mask - cidr.prefix > kMostDifference)
      out.invalid(path, cidr_text(cidr), "pod subnet mask (" + std::to_string(cidr.prefix) + ") and node-mask (" + std::to_string(node_mask) +
                                             ") difference is greater than " + std::to_string(kMostDifference));
  }
}

void check_etcd(Messages& out, const ClusterConfiguration& config) {
  if (config.local_etcd && config.external_etcd) return out.invalid("etcd", "", ".Etcd.Local and .Etcd.External are mutually exclusive");
  if (config.local_etcd) {
    check_absolute(out, "etcd.local.dataDir", config.local_etcd->data_dir);
    check_names(out, "etcd.local.serverCertSANs", config.local_etcd->server_cert_sans);
    check_names(out, "etcd.local.peerCertSANs", config.local_etcd->peer_cert_sans);
    if (!config.local_etcd->image.repository.empty()) check_repository(out, "etcd.local.imageRepository", config.local_etcd->image.repository);
  }
  if (!config.external_etcd) return;
  const ExternalEtcd& etcd = *config.external_etcd;
  bool tls = !etcd.ca_file.empty() || !etcd.cert_file.empty() || !etcd.key_file.empty();
  if (etcd.cert_file.empty() != etcd.key_file.empty())
    out.invalid("etcd.external", "", "either both or none of .Etcd.External.CertFile and .Etcd.External.KeyFile must be set");
  if (!etcd.cert_file.empty() && !etcd.key_file.empty() && etcd.ca_file.empty())
    out.invalid("etcd.external", "", "setting .Etcd.External.CertFile and .Etcd.External.KeyFile requires .Etcd.External.CAFile");
  for (const std::string& url : etcd.endpoints) {
    size_t scheme = url.find("://");
    if (tls && !url.starts_with("https://")) out.invalid("etcd.external.endpoints", url, "the URL must be using the HTTPS scheme");
    if (scheme == std::string::npos) out.invalid("etcd.external.endpoints", url, "the URL without scheme is not allowed");
  }
  if (!etcd.ca_file.empty()) check_absolute(out, "etcd.external.caFile", etcd.ca_file);
  if (!etcd.cert_file.empty()) check_absolute(out, "etcd.external.certFile", etcd.cert_file);
  if (!etcd.key_file.empty()) check_absolute(out, "etcd.external.keyFile", etcd.key_file);
}

void check_node(Messages& out, const NodeRegistration& node) {
  if (node.name.empty())
    out.required("nodeRegistration", "--node-name or .nodeRegistration.name in the config file is a required value. It seems like this value couldn't be "
                                     "automatically detected in your environment, please specify the desired value using the CLI or config file.");
  else if (!is_dns_subdomain(node.name))
    out.invalid("nodeRegistration.name", node.name, kSubdomainRule);
  const std::string path = "nodeRegistration.criSocket";
  if (node.cri_socket.empty()) return out.invalid(path, "", "empty CRI socket");
  std::string scheme = node.cri_socket.substr(0, node.cri_socket.find("://") == std::string::npos ? 0 : node.cri_socket.find("://"));
  if (scheme != "unix") out.invalid(path, node.cri_socket, "only URL scheme \"unix\" is supported, got " + quote(scheme));
}

void check_token(Messages& out, const std::string& path, const std::string& token) {
  if (!is_bootstrap_token(token)) out.invalid(path, token, "the bootstrap token is invalid");
}

void check_tokens(Messages& out, const std::vector<BootstrapToken>& tokens) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    const BootstrapToken& token = tokens[i];
    std::string path = "bootstrapTokens." + std::to_string(i);
    check_token(out, path + ".token", token.token);
    std::vector<std::string> bad;
    for (const std::string& usage : token.usages)
      if (usage != "signing" && usage != "authentication") bad.push_back(usage);
    std::string list = "[]string{";
    for (size_t j = 0; j < token.usages.size(); ++j) list += (j > 0 ? ", " : "") + quote(token.usages[j]);
    list += "}";
    if (!bad.empty()) out.raw(path + ".usages: Invalid value: " + list + ": invalid bootstrap token usage string: " + join(bad, ",") + ", valid usages: authentication,signing");
    std::string groups = "[]string{";
    for (size_t j = 0; j < token.groups.size(); ++j) groups += (j > 0 ? ", " : "") + quote(token.groups[j]);
    groups += "}";
    if (!token.groups.empty() && !contains(token.usages, "authentication"))
      out.raw(path + ".groups: Invalid value: " + groups + ": token groups cannot be specified unless --usages includes \"authentication\"");
    for (const std::string& group : token.groups)
      if (!group.starts_with("system:bootstrappers:") || group.size() == 21)
        out.raw(path + ".groups: Invalid value: " + groups + ": bootstrap group " + quote(group) +
                " is invalid (must match \\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\\z)");
    if (token.expires && token.ttl) out.invalid(path, "", "the BootstrapToken .TTL and .Expires fields are mutually exclusive");
  }
}

void check_endpoint(Messages& out, const std::string& path, const ApiEndpoint& endpoint) {
  if (!is_ip(endpoint.advertise_address)) out.invalid(path + ".advertiseAddress", endpoint.advertise_address, "ip address is not valid");
  if (endpoint.bind_port < 1 || endpoint.bind_port > 65535) out.invalid_number(path + ".bindPort", endpoint.bind_port, "port number is not valid");
}

bool all_of_alphabet(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

}  // namespace

bool is_bootstrap_token_id(std::string_view text) { return text.size() == 6 && all_of_alphabet(text); }
bool is_bootstrap_token(std::string_view text) {
  return text.size() == 23 && text[6] == '.' && all_of_alphabet(text.substr(0, 6)) && all_of_alphabet(text.substr(7));
}

std::vector<std::string> validate(const ClusterConfiguration& config) {
  static constexpr const char* kFeatures[] = {"PublicKeysECDSA", "RootlessControlPlane", "UpgradeAddonsBeforeControlPlane", "EtcdLearnerMode"};
  Messages out;
  if (!config.dns.repository.empty()) check_repository(out, "dns.imageRepository", config.dns.repository);
  if (!is_dns_subdomain(config.dns_domain)) out.invalid("networking.dnsDomain", config.dns_domain, kSubdomainRule);
  if (!config.service_subnet.empty()) check_service_subnet(out, config);
  if (!config.pod_subnet.empty()) check_pod_subnet(out, config);
  check_names(out, "apiServer.certSANs", config.cert_sans);
  check_absolute(out, "certificatesDir", config.certificates_dir);
  for (const auto& [name, on] : config.feature_gates)
    if (std::find(std::begin(kFeatures), std::end(kFeatures), name) == std::end(kFeatures))
      out.raw("featureGates: Invalid value: map[string]bool{" + quote(name) + ":" + (on ? "true" : "false") + "}: " + name + " is not a valid feature name.");
  if (!config.control_plane_endpoint.empty() && !parse_host_port(config.control_plane_endpoint).ok())
    out.invalid("controlPlaneEndpoint", config.control_plane_endpoint, "endpoint is not valid");
  check_repository(out, "imageRepository", config.image_repository);
  check_etcd(out, config);
  return out.list;
}

std::vector<std::string> validate(const InitConfiguration& config) {
  Messages out;
  check_node(out, config.node);
  check_tokens(out, config.bootstrap_tokens);
  for (std::string& message : validate(config.cluster)) out.raw(std::move(message));
  check_endpoint(out, "localAPIEndpoint", config.local_endpoint);
  return out.list;
}

std::vector<std::string> validate(const JoinConfiguration& config, const Host& host) {
  Messages out;
  const Discovery& discovery = config.discovery;
  if (!discovery.bootstrap_token && !discovery.file) out.invalid("discovery", "", "bootstrapToken or file must be set");
  if (discovery.bootstrap_token && discovery.file) out.invalid("discovery", "", "bootstrapToken and file cannot both be set");
  if (const auto& token = discovery.bootstrap_token) {
    if (token->api_server_endpoint.empty()) out.required("discovery.bootstrapToken", "APIServerEndpoint is not set");
    if (token->ca_cert_hashes.empty() && !token->unsafe_skip_ca_verification)
      out.invalid("discovery.bootstrapToken.caCertHashes", "", "using token-based discovery without caCertHashes can be unsafe. Set unsafeSkipCAVerification as "
                                                               "true in your kubeadm config file or pass --discovery-token-unsafe-skip-ca-verification flag to continue");
    check_token(out, "discovery.bootstrapToken.token", token->token);
    size_t colon = token->api_server_endpoint.rfind(':');
    if (colon == std::string::npos)
      out.invalid("discovery.bootstrapToken.apiServerEndpoint", token->api_server_endpoint,
                  token->api_server_endpoint.empty() ? "missing port in address" : "address " + token->api_server_endpoint + ": missing port in address");
    check_token(out, "discovery.tlsBootstrapToken", discovery.tls_bootstrap_token);
  }
  if (const auto& file = discovery.file) {
    const std::string path = "discovery.file.kubeConfigPath";
    size_t scheme = file->find("://");
    if (scheme == std::string::npos) {
      if (!host.exists(*file)) out.invalid(path, *file, "not a valid HTTPS URL or a file on disk");
    } else if (!file->starts_with("https://")) {
      out.invalid(path, *file, "if a URL is used, the scheme must be https");
    }
    if (!discovery.tls_bootstrap_token.empty()) check_token(out, "discovery.tlsBootstrapToken", discovery.tls_bootstrap_token);
  }
  check_node(out, config.node);
  if (config.control_plane) check_endpoint(out, "controlPlane.localAPIEndpoint", config.control_plane->local_endpoint);
  if (!config.ca_cert_path.starts_with("/") || !config.ca_cert_path.ends_with(".crt"))
    out.invalid("caCertPath", config.ca_cert_path, "the ca certificate path must be an absolute path");
  return out.list;
}

Status aggregate(const std::vector<std::string>& messages) {
  std::vector<std::string> distinct;
  for (const std::string& message : messages)
    if (!contains(distinct, message)) distinct.push_back(message);
  if (distinct.empty()) return {};
  return Status::make(422, "Invalid", distinct.size() == 1 ? distinct[0] : "[" + join(distinct, ", ") + "]");
}

Result<std::vector<std::string>> ignored_checks(const std::vector<std::string>& flags, const std::vector<std::string>& fields) {
  std::vector<std::string> ignored;
  for (const std::vector<std::string>* list : {&fields, &flags})
    for (const std::string& name : *list)
      if (std::string lower = to_lower(name); !contains(ignored, lower)) ignored.push_back(lower);
  std::sort(ignored.begin(), ignored.end());
  if (contains(ignored, "all") && ignored.size() > 1)
    return aggregate({"ignore-preflight-errors: Invalid value: " + quote(join(ignored, ",")) + ": don't specify individual checks if 'all' is used"});
  return ignored;
}

}  // namespace knarr::kubeadm
