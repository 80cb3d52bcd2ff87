// SPDX-License-Identifier: Apache-2.0
// The CNI plugin as a program of its own, linked statically: the init container of kube-flannel.yml copies it onto hosts that may lack our libraries.
#include "flannel/cni_plugin.h"

int main() { return knarr::flannel::run_plugin(); }
