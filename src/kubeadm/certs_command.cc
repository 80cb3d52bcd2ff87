// SPDX-License-Identifier: Apache-2.0
// `kubeadm certs`: when certificates expire, new ones in their place, keys to copy them with.
#include <algorithm>

#include "kubeadm/certs.h"
#include "kubeadm/cluster_objects.h"
#include "kubeadm/constants.h"
#include "kubeadm/kubeadm.h"
#include "kubeadm/kubeconfigs.h"
#include "kubeadm/phases.h"
#include "kubeadm/table.h"
#include "pki/formats.h"

namespace knarr::kubeadm {
namespace {

struct CertsFlags {
  std::string config_file, certificates_dir = kCertificatesDir, kubeconfig = kAdminConf;
};

// A certificate that can be renewed: a pair of files, or the one inside a kubeconfig.
struct Renewable {
  std::string name, long_name, ca;             // ca: name of its record
  const CertRecord* record = nullptr;
  const KubeconfigRecord* conf = nullptr;
};

std::vector<Renewable> renewables(bool external_etcd) {
  std::vector<Renewable> list;
  for (const CertRecord& record : cert_records())
    if (!record.is_ca() && !(external_etcd && std::string_view(record.ca) == "etcd-ca")) list.push_back({record.name, record.long_name, record.ca, &record});
  for (const KubeconfigRecord& record : kubeconfig_records())
    if (*record.renew_name != '\0') list.push_back({record.file, record.renew_name, "ca", nullptr, &record});
  std::sort(list.begin(), list.end(), [](const Renewable& a, const Renewable& b) { return a.name < b.name; });
  return list;
}

std::string conf_path(const Renewable& one) { return std::string(kKubernetesDir) + "/" + one.conf->file; }

Result<pki::CertificateInfo> read_info(const Host& host, const Renewable& one, const std::string& dir) {
  if (one.record != nullptr) {
    TRY_ASSIGN(LoadedCert loaded, load_cert(host, dir, one.record->base_name));
    return loaded.info;
  }
  auto access = client::load_kubeconfig(conf_path(one));
  if (!access.ok()) return access.status().with_context("failed to load kubeconfig file " + conf_path(one));
  return pki::inspect(access->client_cert_pem);
}

bool is_there(const Host& host, const Renewable& one, const std::string& dir) {
  return host.exists(one.record != nullptr ? cert_path(dir, one.record->base_name) : conf_path(one));
}

// From the cluster, or from the file, or the default one.
Result<InitConfiguration> configuration(Host& host, const CertsFlags& flags, const std::string& prefix) {
  if (!flags.config_file.empty()) {
    auto text = host.read_file(flags.config_file);
    if (!text.ok()) return text.status().with_context("unable to read config from " + quote(flags.config_file) + " ");
    return load_init_configuration(host, *text, false);
  }
  if (auto api = connect(flags.kubeconfig); api.ok()) {
    FetchOptions options{prefix};
    auto config = fetch_configuration(host, **api, options);
    if (config.ok()) {
      host.print("\n");
      config->cluster.certificates_dir = flags.certificates_dir;
      return config;
    }
    host.print("[" + prefix + "] Error reading configuration from the Cluster. Falling back to default configuration\n\n");
  }
  InitConfiguration config;
  config.node.cri_socket = kUnknownSocket;
  config.cluster.kubernetes_version = "1.28.0";
  config.cluster.certificates_dir = flags.certificates_dir;
  set_defaults(config);
  set_defaults(config.cluster);
  TRY(set_dynamic_defaults(host, config));
  return config;
}

// "Nov 25, 2027 01:34 UTC"
std::string show_time(WallTime time) {
  time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%b %d, %Y %H:%M UTC", &parts);
  return text;
}

std::string yes_or_no(bool yes) { return yes ? "yes     " : "no      "; }

Status check_expiration(Host& host, const CertsFlags& flags) {
  TRY_ASSIGN(InitConfiguration config, configuration(host, flags, "check-expiration"));
  const std::string& dir = config.cluster.certificates_dir;
  bool external_etcd = config.cluster.external_etcd.has_value();
  WallTime now = host.clock().now();
  auto key_is_elsewhere = [&](const std::string& ca) { return !host.exists(key_path(dir, find_cert(ca)->base_name)); };
  std::vector<std::vector<std::string>> rows = {{"CERTIFICATE", "EXPIRES", "RESIDUAL TIME", "CERTIFICATE AUTHORITY", "EXTERNALLY MANAGED"}};
  for (const Renewable& one : renewables(external_etcd)) {
    if (!is_there(host, one, dir)) {
      rows.push_back({"!MISSING! " + one.name, "", "", "", ""});
      continue;
    }
    TRY_ASSIGN(pki::CertificateInfo info, read_info(host, one, dir));
    rows.push_back({one.name, show_time(info.not_after), short_human_duration(info.not_after - now), one.ca, yes_or_no(key_is_elsewhere(one.ca))});
  }
  std::vector<std::vector<std::string>> authorities = {{"CERTIFICATE AUTHORITY", "EXPIRES", "RESIDUAL TIME", "EXTERNALLY MANAGED"}};
  for (const char* name : {"ca", "etcd-ca", "front-proxy-ca"}) {
    if (external_etcd && std::string_view(name) == "etcd-ca") continue;
    auto ca = load_cert(host, dir, find_cert(name)->base_name);
    if (!ca.ok()) authorities.push_back({std::string("!MISSING! ") + name, "", "", ""});
    else authorities.push_back({name, show_time(ca->info.not_after), short_human_duration(ca->info.not_after - now), yes_or_no(key_is_elsewhere(name))});
  }
  host.print(format_table(rows) + "\n" + format_table(authorities));
  return {};
}

// Subject, names and usages stay those of the certificate that is there.
Status renew(Host& host, const InitConfiguration& config, const Renewable& one) {
  const std::string& dir = config.cluster.certificates_dir;
  if (!is_there(host, one, dir)) {
    host.print("MISSING! " + one.long_name + "\n");
    return {};
  }
  const CertRecord& authority = *find_cert(one.ca);
  auto ca = load_cert(host, dir, authority.base_name);
  if (!ca.ok()) return ca.status().with_context("failed to renew certificate " + one.name);
  if (ca->pair.key_pem.empty()) {
    host.print("Detected external " + std::string(authority.base_name) + ", " + one.long_name + " can't be renewed\n");
    return {};
  }
  TRY_ASSIGN(pki::CertificateInfo info, read_info(host, one, dir));
  pki::CertificateSpec spec;
  spec.common_name = info.common_name;
  spec.organizations = info.organizations;
  spec.dns_names = info.dns_names;
  spec.ip_addresses = info.ip_addresses;
  spec.server_auth = one.record != nullptr && one.record->server;
  spec.client_auth = one.record == nullptr || one.record->client;
  TRY_ASSIGN(pki::KeyPair made, issue_leaf(host, spec, ca->pair, key_type(config.cluster)));
  if (one.record != nullptr) {
    TRY(write_cert(host, dir, one.record->base_name, made));
  } else {
    TRY_ASSIGN(client::ClusterAccess access, client::load_kubeconfig(conf_path(one)));
    access.client_cert_pem = made.cert_pem;
    access.client_key_pem = made.key_pem;
    TRY(host.write_file(conf_path(one), client::write_kubeconfig(access, config.cluster.cluster_name, info.common_name), 0600));
  }
  host.print(one.long_name + " renewed\n");
  return {};
}

void add_common_flags(Command& command, CertsFlags& flags) {
  command.flags.text(flags.certificates_dir, "cert-dir", "The path where to save the certificates");
  command.flags.text(flags.config_file, "config", kConfigUsage);
  command.flags.text(flags.kubeconfig, "kubeconfig", kKubeconfigUsage);
}

void add_renew(Command& group, Host& host, const std::shared_ptr<CertsFlags>& flags) {
  Command& renew_group = group.add("renew", "Renew certificates for a Kubernetes cluster");
  renew_group.long_help = kNotOnItsOwn;
  renew_group.help_fails = true;
  for (const Renewable& one : renewables(false)) {
    Command& command = renew_group.add(one.name, "Renew the " + one.long_name);
    command.long_help = "Renew the " + one.long_name +
                        ".\n\nRenewals run unconditionally, regardless of certificate expiration date; extra attributes such as SANs will be based on the existing "
                        "file/certificates, there is no need to resupply them.\n\nRenewal by default tries to use the certificate authority in the local PKI managed by kubeadm; "
                        "as alternative it is possible to use K8s certificate API for certificate renewal, or as a last option, to generate a CSR request.\n\n"
                        "After renewal, in order to make changes effective, is required to restart control-plane components and eventually re-distribute the renewed certificate "
                        "in case the file is used elsewhere.";
    add_common_flags(command, *flags);
    command.run = [one, flags, &host](const Invocation&) -> Status {
      TRY_ASSIGN(InitConfiguration config, configuration(host, *flags, "renew"));
      return renew(host, config, one);
    };
  }
  Command& all = renew_group.add("all", "Renew all available certificates");
  all.long_help = "Renew all known certificates necessary to run the control plane. Renewals are run unconditionally, regardless of expiration date. Renewals can also be run individually for more control.";
  add_common_flags(all, *flags);
  all.run = [flags, &host](const Invocation&) -> Status {
    TRY_ASSIGN(InitConfiguration config, configuration(host, *flags, "renew"));
    for (const Renewable& one : renewables(config.cluster.external_etcd.has_value())) TRY(renew(host, config, one));
    host.print("\nDone renewing certificates. You must restart the kube-apiserver, kube-controller-manager, kube-scheduler and etcd, so that they can use the new certificates.\n");
    return {};
  };
}

}  // namespace

void add_certs(Command& root, Host& host) {
  auto flags = std::make_shared<CertsFlags>();
  Command& group = root.add("certs", "Commands related to handling kubernetes certificates");
  group.aliases = {"certificates"};
  group.help_fails = true;
  Command& expiration = group.add("check-expiration", "Check certificates expiration for a Kubernetes cluster");
  expiration.long_help = "Checks expiration for the certificates in the local PKI managed by kubeadm.";
  add_common_flags(expiration, *flags);
  expiration.run = [flags, &host](const Invocation&) { return check_expiration(host, *flags); };
  Command& key = group.add("certificate-key", "Generate certificate keys");
  key.long_help =
      "\nThis command will print out a secure randomly-generated certificate key that can be used with\nthe \"init\" command.\n\n"
      "You can also use \"kubeadm init --upload-certs\" without specifying a certificate key and it will\ngenerate and print one for you.\n";
  key.run = [&host](const Invocation&) -> Status {
    TRY_ASSIGN(std::string made, generate_certificate_key());
    host.print(made + "\n");
    return {};
  };
  add_renew(group, host, flags);
}

}  // namespace knarr::kubeadm
