#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Our API server and upstream's on one etcd: one after the other, both at once, and through a kill of etcd.
set -u
source tests/lib/parts.sh
export STORE=etcd ETCDCTL_API=3
SECOND=https://$HOST:6444
make_pki
ip address add 172.20.0.2/24 dev node0
start_etcd
start_apiserver upstream

stop_part() { # NAME
  kill "$(pid_of "$1")"
  wait "$(pid_of "$1")" 2> /dev/null
}
# Everything there is, as JSON; Events under one of their two names.
all_objects() { # FILE [FLAGS]
  local file=$1 kinds
  shift
  kinds=$(kubectl "$@" api-resources --verbs=list -o name | grep -vE '^(componentstatuses|events\.events)' | sort)
  kubectl "$@" get "$(paste -sd, <<< "$kinds")" --all-namespaces -o json | jq -S '.items | sort_by(.apiVersion, .kind, .metadata.namespace, .metadata.name)' > "$file"
}
differences() { python3 tests/interchange/object_diff.py "$1" "$2"; }

create_objects() { # PREFIX ROUNDS TOTAL; prints how many were made
  local dir=$SANDBOX/objects-$1 creators=()
  python3 tests/interchange/etcd_objects.py "$dir" 6 "$@"
  kubectl apply -f "$dir/namespaces.json" > /dev/null 2>&1
  for part in "$dir"/part-*.json; do
    kubectl create -f "$part" > "$part.log" 2>&1 &
    creators+=($!)
  done
  wait "${creators[@]}"
  grep -h Error "$dir"/*.log | head -5
  cat "$dir"/*.log | grep -c ' created$'
}
expect "upstream made 2000 objects" 0 2000 create_objects upstream 48 2000
all_objects "$SANDBOX/upstream.json"
stop_part apiserver

# ---- ours goes on where upstream's stopped
start_apiserver knarr
all_objects "$SANDBOX/ours.json"
expect "ours reads what upstream wrote" 0 "" differences "$SANDBOX/upstream.json" "$SANDBOX/ours.json"
expect "and as much of it" 0 "$(jq length "$SANDBOX/upstream.json")" jq length "$SANDBOX/ours.json"
cluster_ips() { kubectl get services --all-namespaces -o jsonpath='{range .items[*]}{.spec.clusterIP}{"\n"}{end}' | grep -v None | sort; }
taken=$(cluster_ips | head -3 | tail -1)
expect "an IP that upstream gave is taken" 0 1 bash -c "kubectl create service clusterip thief --tcp=80 --clusterip=$taken 2>&1 | grep -c 'already allocated'"
for i in 1 2 3 4 5 6; do kubectl create service nodeport ours-$i --tcp=80 > /dev/null; done
kubectl create configmap ours --from-literal=key=value > /dev/null
kubectl label configmap -n team-0 upstream-config-0 touched-by=ours > /dev/null
kubectl delete configmap -n team-1 upstream-config-1 > /dev/null
kubectl create deployment ours --image=x --replicas=0 > /dev/null
kubectl create -f - > /dev/null << 'Y'
apiVersion: v1
kind: Event
metadata: {name: ours}
involvedObject: {kind: Pod, name: none, namespace: default}
reason: Tested
Y
expect "ours made 204 objects" 0 204 create_objects ours 6 204
kinds=$(kubectl api-resources --verbs=update --namespaced -o name | grep -v '^events\.events' | paste -sd,)
changed() { kubectl label "$kinds" -n team-5 -l made-by=interchange touched-by=ours | sed -n 's/\/.* labeled$//p' | sort -u | wc -l; }
expect "ours changes objects of 26 kinds" 0 26 changed
expect "keys and versions are upstream's" 0 "" python3 tests/interchange/etcd_layout.py
expect "an event has a lease" 0 true bash -c 'test "$(etcdctl get /registry/events/default/ours -w json | jq ".kvs[0].lease // 0")" != 0 && echo true'
all_objects "$SANDBOX/ours.json"
stop_part apiserver
expect "a server that stops is no endpoint" 0 0 bash -c "etcdctl get --prefix /registry/masterleases/ --keys-only | grep -c masterleases"

# ---- and upstream where ours did
start_apiserver upstream
all_objects "$SANDBOX/upstream.json"
expect "upstream reads what ours wrote" 0 "" differences "$SANDBOX/ours.json" "$SANDBOX/upstream.json"
taken=$(get '{.spec.clusterIP}' service ours-1)
expect "an IP that ours gave is taken" 0 1 bash -c "kubectl create service clusterip thief --tcp=80 --clusterip=$taken 2>&1 | grep -c 'already allocated'"

# ---- both at once
NAME=second PORT=6444 ADVERTISE=172.20.0.2 start_apiserver knarr
expect "both are endpoints" 30 "172.20.0.1 172.20.0.2" get '{.subsets[0].addresses[*].ip}' endpoints kubernetes
expect "ours sees both" 5 "172.20.0.1 172.20.0.2" kubectl --server $SECOND get endpoints kubernetes -o 'jsonpath={.subsets[0].addresses[*].ip}'
start watch_ours kubectl --server $SECOND get configmaps -n team-2 --watch-only -o name
start watch_upstream kubectl get configmaps -n team-2 --watch-only -o name
sleep 1
for i in $(seq 10); do
  kubectl -n team-2 create configmap by-upstream-$i > /dev/null
  kubectl --server $SECOND -n team-2 get configmap by-upstream-$i -o name >> "$SANDBOX/seen" 2>&1
  kubectl --server $SECOND -n team-2 create configmap by-ours-$i > /dev/null
  kubectl -n team-2 get configmap by-ours-$i -o name >> "$SANDBOX/seen" 2>&1
done
expect "each reads at once what the other wrote" 0 20 grep -c '^configmap/by-' "$SANDBOX/seen"
expect "ours watches upstream's writes" 5 20 grep -c '^configmap/by-' "$SANDBOX/watch_ours.log"
expect "upstream watches ours" 5 20 grep -c '^configmap/by-' "$SANDBOX/watch_upstream.log"
allocators=()
for i in $(seq 12); do
  kubectl create service nodeport up-$i --tcp=80 > /dev/null & allocators+=($!)
  kubectl --server $SECOND create service nodeport kn-$i --tcp=80 > /dev/null & allocators+=($!)
done
wait "${allocators[@]}"
expect "24 services made by both" 0 24 bash -c 'kubectl get services -o name | grep -cE "/(up|kn)-"'
expect "no IP twice" 0 "" bash -c "kubectl get services -A -o jsonpath='{range .items[*]}{.spec.clusterIP}{\"\n\"}{end}' | grep -v None | sort | uniq -d"
expect "no port twice" 0 "" bash -c "kubectl get services -A -o jsonpath='{range .items[*].spec.ports[*]}{.nodePort}{\"\n\"}{end}' | grep . | sort | uniq -d"
all_objects "$SANDBOX/ours.json" --server $SECOND
all_objects "$SANDBOX/upstream.json"
expect "both tell the same" 0 "" differences "$SANDBOX/ours.json" "$SANDBOX/upstream.json"
stop_part apiserver
expect "upstream's end is noticed" 40 172.20.0.2 kubectl --server $SECOND get endpoints kubernetes -o 'jsonpath={.subsets[0].addresses[*].ip}'

# ---- etcd dies under load
start load python3 tests/interchange/etcd_load.py $SECOND "$PKI/admin.crt" "$PKI/admin.key" "$SANDBOX/acknowledged" 15
for _ in 1 2 3; do
  sleep 3
  kill -9 "$(pid_of etcd)"
  wait "$(pid_of etcd)" 2> /dev/null
  sleep 0.5
  start_etcd
done
wait "$(pid_of load)"
cat "$SANDBOX/load.log"
expect "every acknowledged write is there, and was watched" 0 ok bash -c "tail -1 $SANDBOX/load.log | grep -o '^ok'"
for part in etcd second; do expect "$part still runs" 0 yes bash -c "kill -0 $(pid_of $part) && echo yes"; done
verdict
