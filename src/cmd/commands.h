// SPDX-License-Identifier: Apache-2.0
// Every command of the one program. A command is called as `knarr NAME ...` or through a link of that name.
#pragma once

namespace knarr::cmd {

// Each gets its own name as argv[0] and returns the exit code.
int up_main(int argc, char** argv);
int image_main(int argc, char** argv);
int trace_main(int argc, char** argv);
int version_main(int argc, char** argv);
int kube_apiserver_main(int argc, char** argv);
int kube_controller_manager_main(int argc, char** argv);
int kube_scheduler_main(int argc, char** argv);
int kubelet_main(int argc, char** argv);
int kube_proxy_main(int argc, char** argv);
int dns_main(int argc, char** argv);
int flanneld_main(int argc, char** argv);
int flannel_cni_main(int argc, char** argv);
int kubeadm_main(int argc, char** argv);

}  // namespace knarr::cmd
