#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Upstream's kube-scheduler and kube-controller-manager against our API server (protobuf), on made-up nodes.
set -u
source tests/lib/parts.sh
make_pki
start_apiserver knarr
start_controllers upstream --controllers='*,bootstrapsigner,tokencleaner'
start_scheduler upstream

expect "service account made" 20 default get '{.metadata.name}' serviceaccount default
expect "root CA published" 20 kube-root-ca.crt get '{.metadata.name}' configmap kube-root-ca.crt
for node in n1 n2 n3; do
  kubectl create -f - > /dev/null << Y
apiVersion: v1
kind: Node
metadata: {name: $node, labels: {kubernetes.io/os: linux}}
Y
  kubectl patch node $node --subresource=status -p "{\"status\":{\"capacity\":{\"cpu\":\"4\",\"memory\":\"8Gi\",\"pods\":\"110\"},\"allocatable\":{\"cpu\":\"4\",
    \"memory\":\"8Gi\",\"pods\":\"110\"},\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"KubeletReady\",\"message\":\"made up\",
    \"lastHeartbeatTime\":\"$(date -u +%FT%TZ)\",\"lastTransitionTime\":\"$(date -u +%FT%TZ)\"}]}}" > /dev/null
done
expect "pod CIDRs given" 20 3 bash -c 'kubectl get nodes -o jsonpath="{.items[*].spec.podCIDR}" | wc -w'
# A node made before its status is tainted until the lifecycle controller has read that: pods scheduled meanwhile share the other nodes.
expect "nodes free of taints" 20 "" kubectl get nodes -o 'jsonpath={.items[*].spec.taints[*].key}'
kubectl create deployment web --image=x --replicas=3 > /dev/null
expect "a ReplicaSet's pods are made" 20 3 bash -c 'kubectl get pods --no-headers | wc -l'
expect "and scheduled, one a node" 20 "n1 n2 n3" bash -c 'kubectl get pods -o jsonpath="{.items[*].spec.nodeName}" | tr " " "\n" | sort | xargs'
expect "events written" 10 3 bash -c 'kubectl get events --field-selector reason=Scheduled --no-headers | wc -l'
kubectl scale deployment/web --replicas=1 > /dev/null
expect "scaled down" 20 1 bash -c 'kubectl get pods --no-headers | grep -vc Terminating'
kubectl expose deployment web --port=80 > /dev/null
expect "endpoints made" 20 web get '{.metadata.name}' endpoints web
expect "endpoint slice made" 20 web get '{.items[0].metadata.labels.kubernetes\.io/service-name}' endpointslices -l kubernetes.io/service-name=web
kubectl create job once --image=x > /dev/null
expect "job's pod made" 20 1 bash -c 'kubectl get pods -l job-name=once --no-headers | wc -l'
# No kubelet ends the pods of made-up nodes, and a quota counts those that are ending.
kubectl get pods --no-headers | awk '/Terminating/ {print $1}' | xargs kubectl delete pods --grace-period=0 --force > /dev/null 2>&1
kubectl create quota q --hard=pods=10 > /dev/null
expect "quota counted" 30 2 get '{.status.used.pods}' resourcequota q
kubectl delete deployment web --cascade=foreground --wait=false > /dev/null
for pod in $(kubectl get pods -o name); do kubectl delete "$pod" --grace-period=0 --force > /dev/null 2>&1; done
expect "garbage collected" 30 "" bash -c 'kubectl get deployments,replicasets -o name'
kubectl create namespace short > /dev/null
kubectl -n short create configmap c > /dev/null
kubectl delete namespace short --wait=false > /dev/null
expect "namespace emptied and gone" 30 0 bash -c 'kubectl get namespace short -o name 2> /dev/null | wc -l'
for part in apiserver controllers scheduler; do expect "$part still runs" 0 yes bash -c "kill -0 $(pid_of $part) && echo yes"; done
verdict
