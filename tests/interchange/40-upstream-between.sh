#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Our API server and kubelet between upstream's scheduler and controllers.
set -u
source tests/lib/parts.sh
make_pki
start_apiserver knarr
start_controllers upstream
start_scheduler upstream
start_containerd
start_kubelet knarr n1
source tests/interchange/node.sh
verdict
