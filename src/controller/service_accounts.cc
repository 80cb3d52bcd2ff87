// SPDX-License-Identifier: Apache-2.0
// Which service account a controller acts as (upstream: cmd/kube-controller-manager/app), so that it can do its own work and nothing else.
#include "controller/controller.h"

namespace knarr::controller {
namespace {

struct Account {
  std::string_view controller, account;
};
// Those that are not called as their controller.
constexpr Account kAccounts[] = {
    {"bootstrap-signer-controller", "bootstrap-signer"},
    {"certificatesigningrequest-approving-controller", "certificate-controller"},
    {"certificatesigningrequest-cleaner-controller", "certificate-controller"},
    {"certificatesigningrequest-signing-controller", "certificate-controller"},
    {"daemonset-controller", "daemon-set-controller"},
    {"endpoints-controller", "endpoint-controller"},
    {"endpointslice-mirroring-controller", "endpointslicemirroring-controller"},
    {"garbage-collector-controller", "generic-garbage-collector"},
    {"horizontal-pod-autoscaler-controller", "horizontal-pod-autoscaler"},
    {"node-ipam-controller", "node-controller"},
    {"node-lifecycle-controller", "node-controller"},
    {"persistentvolume-attach-detach-controller", "attachdetach-controller"},
    {"persistentvolume-binder-controller", "persistent-volume-binder"},
    {"persistentvolume-expander-controller", "expand-controller"},
    {"persistentvolume-protection-controller", "pv-protection-controller"},
    {"persistentvolumeclaim-protection-controller", "pvc-protection-controller"},
    {"pod-garbage-collector-controller", "pod-garbage-collector"},
    {"replicationcontroller-controller", "replication-controller"},
    {"root-ca-certificate-publisher-controller", "root-ca-cert-publisher"},
    {"serviceaccount-controller", "service-account-controller"},
    // It makes the tokens that others log in with.
    {"serviceaccount-token-controller", ""},
    {"token-cleaner-controller", "token-cleaner"},
};

}  // namespace

std::string service_account_of(std::string_view controller) {
  for (const Account& each : kAccounts)
    if (each.controller == controller) return std::string(each.account);
  return std::string(controller);
}

}  // namespace knarr::controller
