#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/kubeadm/network.sh BUILD: three hosts by our kubeadm with flannel, kube-proxy and DNS, all from our images: pods of each host reach each other, a
# Service, its name and a NodePort, from pods, hosts and this machine; a host taken down meanwhile leaves the others alone, and nothing is left at the
# end. Ends with "N passed, N failed". Needs root, containerd and $KNARR_KIT (exit 77 where there are none).
set -uo pipefail
cd "$(dirname "$0")/../.."
export BUILD=${1:-build} CLUSTER=${CLUSTER:-/tmp/knarr-network} HOSTS_NET=${HOSTS_NET:-172.29.3} HOSTS_BRIDGE=${HOSTS_BRIDGE:-knarrnet} HOSTS_PREFIX=${HOSTS_PREFIX:-n-}
KIT=${KNARR_KIT:-/var/cache/knarr-kit/v1.28.4}
[ "$(id -u)" = 0 ] && [ -x "$KIT/bin/kubectl" ] || { echo "network.sh: needs root and $KIT" >&2; exit 77; }
export PATH=$KIT/bin:$PATH KUBECONFIG=$CLUSTER/kubeconfig
passed=0 failed=0
trap 'tests/lib/cluster.sh down' EXIT

check() { # NAME SECONDS WANTED COMMAND...: what it prints becomes WANTED within the time
  local name=$1 end=$((SECONDS + $2)) wanted=$3 got
  shift 3
  while got=$("$@" 2>&1); [ "$got" != "$wanted" ]; do
    [ $SECONDS -lt $end ] || { failed=$((failed + 1)); echo "FAIL $name: wanted '$wanted', got '$got'"; return; }
    sleep 0.5
  done
  passed=$((passed + 1))
  echo "ok   $name"
}
get() { # JSONPATH WHAT...
  local path=$1
  shift
  kubectl get "$@" -o "jsonpath=$path"
}
on() { tests/lib/cluster.sh exec "$@"; }
pod_on() { get '{.items[0].metadata.name}' pods -l app=web --field-selector "spec.nodeName=$1"; }
address_on() { get '{.items[0].status.podIP}' pods -l app=web --field-selector "spec.nodeName=$1"; }
page() { wget -q -T 3 -O - "http://$1/" | grep -o sails; }
# The demo's busybox is static: what looks names up in it, its wget among them, fails. So these ask by hand; a DNS answer ends with the address.
page_from() { kubectl exec "$1" -- sh -c "printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 3 $2 80" | grep -o sails; }
resolve_from() { # POD
  local question='\0\57\0\1\1\0\0\1\0\0\0\0\0\0\3web\7default\3svc\7cluster\5local\0\0\1\0\1'
  kubectl exec "$1" -- sh -c "printf '$question' | nc -w 2 10.96.0.10 53 | tail -c 4 | od -An -tu1" | awk '{print $1 "." $2 "." $3 "." $4}'
}
pings() { kubectl exec "$1" -- ping -c 1 -W 3 "$2" > /dev/null && echo yes; }
# What this machine has of the hosts: links, names, cgroups, processes.
left() { ip -o link show | grep -oE "(h-$HOSTS_PREFIX[a-z0-9]*|$HOSTS_BRIDGE)\b"; ls /run/netns | grep "^host-$HOSTS_PREFIX"; find /sys/fs/cgroup -maxdepth 2 -name "host-$HOSTS_PREFIX*"; ls -d "$CLUSTER"; } 2> /dev/null

tests/lib/cluster.sh up 2 "$BUILD"/share/knarr/images/demo.tar || { echo "0 passed, 1 failed"; exit 1; }
check "three nodes are Ready" 0 "True True True" get '{.items[*].status.conditions[?(@.type=="Ready")].status}' nodes
check "flannel says that there is a network" 20 "False False False" get '{.items[*].status.conditions[?(@.type=="NetworkUnavailable")].status}' nodes
check "each has a share of the pods' network" 0 3 sh -c 'kubectl get nodes -o jsonpath="{.items[*].spec.podCIDR}" | tr " " "\n" | sort -u | wc -l'
kubectl create -f - > /dev/null << 'Y'
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      tolerations: [{operator: Exists}]
      terminationGracePeriodSeconds: 0
      containers:
      - {name: web, image: docker.io/knarr/demo:1.0, readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
Y
HOSTS=$CLUSTER/hosts tests/lib/host.sh load master "$BUILD"/share/knarr/images/demo.tar
check "a pod on each" 60 3 get '{.status.numberReady}' ds web
one=$(pod_on worker1) two=$(pod_on worker2) three=$(pod_on master)
check "a pod of worker1 reaches one of worker2" 10 yes pings "$one" "$(address_on worker2)"
check "and the other way round" 10 yes pings "$two" "$(address_on worker1)"
check "and one of master" 10 yes pings "$two" "$(address_on master)"
check "a pod of master reaches one of worker1" 10 yes pings "$three" "$(address_on worker1)"
check "master itself reaches one of worker2" 10 yes on master sh -c "wget -q -T 3 -O /dev/null http://$(address_on worker2):8080/ && echo yes"
service=$(get '{.spec.clusterIP}' svc web)
for pod in $one $two $three; do
  node=$(get '{.spec.nodeName}' pod "$pod")
  check "a Service, from $node" 20 sails page_from "$pod" "$service"
  check "its name, from $node" 20 "$service" resolve_from "$pod"
done
port=$(get '{.spec.ports[0].nodePort}' svc web)
for i in 10 11 12; do check "NodePort of $HOSTS_NET.$i, from this machine" 10 sails page "$HOSTS_NET.$i:$port"; done
check "a pod reaches the API server by its Service" 10 yes sh -c "kubectl exec $two -- nc -w 3 10.96.0.1 443 < /dev/null > /dev/null && echo yes"

# Another host comes and goes; the pods' links stay.
links() { for host in worker1 worker2; do on $host ip -o link show type veth | awk '{print $2}' | sort; done; }
before=$(links)
(export HOSTS=$CLUSTER/other HOSTS_PREFIX=${HOSTS_PREFIX}o; tests/lib/host.sh up spare "$HOSTS_NET.40" && tests/lib/host.sh down spare) || failed=$((failed + 1))
check "a host that came and went left the others' links" 0 "$before" links
check "and their pods reach each other" 10 yes pings "$one" "$(address_on worker2)"
tests/lib/cluster.sh down
check "nothing is left of the hosts" 5 "" left
echo "$passed passed, $failed failed"
[ $failed = 0 ]
