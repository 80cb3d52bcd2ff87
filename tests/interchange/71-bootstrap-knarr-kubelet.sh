#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Our kubelet bootstraps by a token against upstream's API server and controllers.
set -u
source tests/lib/parts.sh
source tests/interchange/bootstrap.sh
make_pki
start_etcd
start_apiserver upstream --enable-bootstrap-token-auth=true
start_controllers upstream --controllers='*,bootstrapsigner,tokencleaner' --cluster-signing-duration=60s
start_scheduler upstream
bootstrap_cluster
start_containerd
bootstrap_kubelet knarr n1
check_bootstrap n1
verdict
