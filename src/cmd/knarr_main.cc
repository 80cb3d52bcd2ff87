// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>

#include <cstdio>
#include <string_view>

#include "base/files.h"
#include "cmd/commands.h"

namespace {

struct Command {
  std::string_view name;
  std::string_view summary;
  int (*run)(int argc, char** argv);
};

using namespace knarr::cmd;

constexpr Command kCommands[] = {
    {"up", "boot a one-node cluster in this process", up_main},
    {"image", "load container images from a file", image_main},
    {"trace", "the way of one pod, step by step, with times", trace_main},
    {"version", "print the version", version_main},
    {"kube-apiserver", "the API server, with upstream's flags", kube_apiserver_main},
    {"kube-controller-manager", "the controllers, with upstream's flags", kube_controller_manager_main},
    {"kube-scheduler", "the scheduler, with upstream's flags", kube_scheduler_main},
    {"kubelet", "the node agent, with upstream's flags", kubelet_main},
    {"kube-proxy", "the network proxy, with upstream's flags", kube_proxy_main},
    {"dns", "the cluster's DNS server", dns_main},
    {"coredns", "the same, with upstream's flags", dns_main},
    {"flanneld", "the pods' network between nodes, with upstream's flags", flanneld_main},
    {"flannel", "its CNI plugin", flannel_cni_main},
    {"kubeadm", "sets up, joins and tears down the hosts of a cluster", kubeadm_main},
};

const Command* find(std::string_view name) {
  for (const Command& command : kCommands)
    if (command.name == name) return &command;
  return nullptr;
}

int usage(std::FILE* out, int code) {
  std::fprintf(out, "knarr: Kubernetes in one program\n\nUsage: knarr COMMAND [flags]   (knarr COMMAND --help tells more)\n\n");
  for (const Command& command : kCommands)
    std::fprintf(out, "  %-26.*s%.*s\n", static_cast<int>(command.name.size()), command.name.data(),
                 static_cast<int>(command.summary.size()), command.summary.data());
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  // A few threads share one heap: with one arena each, freed memory of one would be of no use to the others.
  mallopt(M_ARENA_MAX, 2);
  if (const Command* command = find(knarr::base_name(argv[0]))) return command->run(argc, argv);
  if (argc < 2) return usage(stderr, 2);
  std::string_view name = argv[1];
  if (name == "help" || name == "--help" || name == "-h") return usage(stdout, 0);
  if (name == "--version") return version_main(argc - 1, argv + 1);
  const Command* command = find(name);
  if (command == nullptr) {
    std::fprintf(stderr, "knarr: unknown command \"%s\"; knarr help lists them\n", argv[1]);
    return 2;
  }
  return command->run(argc - 1, argv + 1);
}
