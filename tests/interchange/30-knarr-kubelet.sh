#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Our kubelet joins upstream's API server, controllers and scheduler, and runs pods.
set -u
source tests/lib/parts.sh
make_pki
start_etcd
start_apiserver upstream
start_controllers upstream
start_scheduler upstream
start_containerd
start_kubelet knarr n1
source tests/interchange/node.sh
verdict
