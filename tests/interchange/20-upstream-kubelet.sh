#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Upstream's kubelet joins our API server, controllers and scheduler, and runs pods.
set -u
source tests/lib/parts.sh
make_pki
start_apiserver knarr
start_controllers knarr
start_scheduler knarr
start_containerd
start_kubelet upstream n1
source tests/interchange/node.sh
verdict
