#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Upstream's kubelet bootstraps by a token against our API server and controllers.
set -u
source tests/lib/parts.sh
source tests/interchange/bootstrap.sh
make_pki
start_apiserver knarr --enable-bootstrap-token-auth=true
start_controllers knarr --controllers='*,bootstrapsigner,tokencleaner' --cluster-signing-duration=60s --authentication-kubeconfig="$PKI/controllers.conf" \
  --authorization-kubeconfig="$PKI/controllers.conf" --client-ca-file="$PKI/ca.crt" --requestheader-client-ca-file="$PKI/ca.crt" --bind-address=127.0.0.1
start_scheduler knarr --authentication-kubeconfig="$PKI/scheduler.conf" --authorization-kubeconfig="$PKI/scheduler.conf" --bind-address=127.0.0.1
bootstrap_cluster
start_containerd
bootstrap_kubelet upstream n1
check_bootstrap n1
for port in 10257 10259; do
  expect "healthz of $port" 5 ok curl -sk https://127.0.0.1:$port/healthz
  expect "metrics of $port are not for everybody" 5 403 https_code https://127.0.0.1:$port/metrics
  expect "metrics of $port" 5 200 https_code --cert "$PKI/admin.crt" --key "$PKI/admin.key" https://127.0.0.1:$port/metrics
done
verdict
