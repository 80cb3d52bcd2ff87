#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Our controllers and scheduler, as service accounts and led by Leases, among upstream's; leaders are killed.
set -u
source tests/lib/parts.sh
make_pki
start_etcd
start_apiserver upstream
ELECTION=(--leader-elect=true --leader-elect-lease-duration=4s --leader-elect-renew-deadline=3s --leader-elect-retry-period=1s)
candidate() { # NAME COMPONENT upstream|knarr PORT
  local program=("$UPSTREAM/$2") conf=$PKI/scheduler.conf flags=()
  [ "$3" = upstream ] || program=("$KNARR" "$2")
  if [ "$2" = kube-controller-manager ]; then
    conf=$PKI/controllers.conf
    flags=(--root-ca-file="$PKI/ca.crt" --service-account-private-key-file="$PKI/sa.key" --use-service-account-credentials=true)
  fi
  start "$1" "${program[@]}" --kubeconfig="$conf" --authentication-kubeconfig="$conf" --authorization-kubeconfig="$conf" --secure-port="$4" \
    "${flags[@]}" "${ELECTION[@]}"
}
holder() { kubectl -n kube-system get lease "$1" -o 'jsonpath={.spec.holderIdentity}'; }
# Which candidate leads, by its own account.
leader_of() { # LEASE PORT...
  local lease=$1 port
  shift
  for port in "$@"; do
    curl -sk --cert "$PKI/admin.crt" --key "$PKI/admin.key" "https://127.0.0.1:$port/metrics" | grep -q "^leader_election_master_status{name=\"$lease\"} 1" && echo "$port"
  done
}
works() { # NAMESPACE: controllers make what belongs to it
  kubectl create namespace "$1" > /dev/null
  kubectl -n "$1" create deployment d --image=x --replicas=2 > /dev/null
  expect "$1: service account" 10 default get '{.metadata.name}' -n "$1" serviceaccount default
  expect "$1: root CA" 10 kube-root-ca.crt get '{.metadata.name}' -n "$1" configmap kube-root-ca.crt
  expect "$1: pods" 10 2 bash -c "kubectl -n $1 get pods --no-headers 2> /dev/null | wc -l"
}
schedules() { # NAME
  kubectl run "$1" --image=x --overrides='{"spec":{"tolerations":[{"operator":"Exists"}]}}' > /dev/null
  expect "$1 gets the node" 10 n1 get '{.spec.nodeName}' pod "$1"
}
kubectl create -f - > /dev/null << 'Y'
apiVersion: v1
kind: Node
metadata: {name: n1}
Y
kubectl patch node n1 --subresource=status -p '{"status":{"allocatable":{"cpu":"4","memory":"8Gi","pods":"110"},"capacity":{"cpu":"4","memory":"8Gi","pods":"110"}}}' > /dev/null
untaint() { kubectl patch node n1 --type=merge -p '{"spec":{"taints":null}}' > /dev/null; }

candidate kcm1 kube-controller-manager knarr 10301
expect "the first leads" 20 10301 leader_of kube-controller-manager 10301
candidate kcm2 kube-controller-manager knarr 10302
works one
kill -9 "$(pid_of kcm1)"
first=$(holder kube-controller-manager)
expect "the second takes over" 20 10302 leader_of kube-controller-manager 10302
expect "under another name" 0 other bash -c "[ \"$(holder kube-controller-manager)\" != '$first' ] && echo other"
expect "one more transition" 0 1 get '{.spec.leaseTransitions}' -n kube-system lease kube-controller-manager
expect "it is told" 10 yes bash -c "kubectl -n kube-system get events -o 'jsonpath={.items[*].message}' | grep -q 'became leader' && echo yes"
works two
candidate kcm3 kube-controller-manager upstream 10303
sleep 3
kill -9 "$(pid_of kcm2)"
expect "upstream's takes over from ours" 30 10303 leader_of kube-controller-manager 10303
works three
candidate kcm4 kube-controller-manager knarr 10304
sleep 3
kill -9 "$(pid_of kcm3)"
expect "ours takes over from upstream's" 30 10304 leader_of kube-controller-manager 10304
works four
for account in deployment-controller replicaset-controller namespace-controller; do
  expect "account $account" 0 $account get '{.metadata.name}' -n kube-system serviceaccount $account
done
expect "who made the pods" 0 kube-controller-manager bash -c "kubectl -n four get pods --show-managed-fields -o 'jsonpath={.items[0].metadata.managedFields[0].manager}'"
kubectl delete namespace one two three --wait=false > /dev/null
expect "namespaces go" 40 "" kubectl get namespace one two three --ignore-not-found -o name

untaint
candidate sch1 kube-scheduler knarr 10311
expect "the first scheduler leads" 20 10311 leader_of kube-scheduler 10311
candidate sch2 kube-scheduler upstream 10312
kubectl create serviceaccount default > /dev/null 2>&1
untaint
schedules first
sleep 3
kill -9 "$(pid_of sch1)"
expect "upstream's scheduler takes over" 30 10312 leader_of kube-scheduler 10312
untaint
schedules second
candidate sch3 kube-scheduler knarr 10313
sleep 3
kill -9 "$(pid_of sch2)"
expect "ours takes over" 30 10313 leader_of kube-scheduler 10313
untaint
schedules third
kill "$(pid_of sch3)"
expect "a leader that ends gives the lease up" 10 "" holder kube-scheduler
verdict
