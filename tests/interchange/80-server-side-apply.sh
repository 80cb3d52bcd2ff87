#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Server-side apply: the same writes to our API server and upstream's; answers, conflicts and managedFields must be equal.
set -u
source tests/lib/parts.sh
make_pki
start_etcd
start_apiserver upstream
sed "s|:6443|:7443|" "$PKI/admin.conf" > "$PKI/ours.conf"
start ours "$KNARR" kube-apiserver --data-dir "$SANDBOX/store" --secure-port=7443 --client-ca-file="$PKI/ca.crt" --tls-cert-file="$PKI/apiserver.crt" \
  --tls-private-key-file="$PKI/apiserver.key" --service-account-key-file="$PKI/sa.pub" --service-account-signing-key-file="$PKI/sa.key" \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local --authorization-mode=Node,RBAC --service-cluster-ip-range=10.96.0.0/16
wait_for 60 kubectl --kubeconfig "$PKI/ours.conf" get --raw /readyz
python3 tests/interchange/apply_diff.py "$UPSTREAM/kubectl" "$PKI/ours.conf" "$PKI/admin.conf"
