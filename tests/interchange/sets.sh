#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Our DaemonSet, StatefulSet, disruption and ttl controllers against upstream's API server (v1.28), and each way between our and upstream's
# controller manager: neither may take the other's pods for outdated.
#
#   UPSTREAM_BIN=/path/with/kube-apiserver,kube-controller-manager,kubectl tests/interchange/sets.sh [BINARY]
cd "$(dirname "$0")/../.."
. tests/interchange/controllers_lib.sh

kubectl create namespace s > /dev/null
for NODE in n1 n2; do
  printf 'apiVersion: v1\nkind: Node\nmetadata: {name: %s, labels: {kubernetes.io/hostname: %s}}\n' $NODE $NODE | kubectl create -f - > /dev/null
  node_ready $NODE
  heartbeat $NODE &
  PIDS+=($!)
done
play() { while play_kubelet s; do sleep 0.3; done 2> /dev/null; }
play & PLAY=$!
PIDS+=($PLAY)
images() { kubectl -n s get pods -l app="$1" --sort-by=.metadata.name --no-headers -o custom-columns=N:.metadata.name,I:.spec.containers[0].image,D:.metadata.deletionTimestamp | awk '$3=="<none>" {printf "%s%s", s, $2; s=" "}'; }
names() { kubectl -n s get pods -l app="$1" --sort-by=.metadata.name --no-headers -o custom-columns=N:.metadata.name,D:.metadata.deletionTimestamp | awk '$2=="<none>" {printf "%s%s", s, $1; s=" "}'; }
uids() { kubectl -n s get pods -o 'jsonpath={.items[*].metadata.uid}' | tr ' ' '\n' | sort | xargs; }

# ---- ttl
expect "ttl of a small cluster" 5 0 get '{.metadata.annotations.node\.alpha\.kubernetes\.io/ttl}' node n1

# ---- DaemonSets
daemons() {  # IMAGE, and more of the spec
  cat << Y
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: ds, namespace: s}
spec:
  selector: {matchLabels: {app: ds}}
  template: {metadata: {labels: {app: ds}}, spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: "$1"}]}}
Y
}
daemons x:1 | kubectl apply -f - > /dev/null
DS='{.status.desiredNumberScheduled} {.status.currentNumberScheduled} {.status.numberReady} {.status.updatedNumberScheduled} {.status.numberAvailable}'
expect "a daemon a node" 10 "2 2 2 2 2" get "$DS" -n s ds ds
expect "on each of them" 2 "n1 n2" bash -c "kubectl -n s get pods -l app=ds -o 'jsonpath={range .items[*]}{.spec.nodeName}{\"\\n\"}{end}' | sort | xargs"
kubectl taint node n2 k=v:NoExecute > /dev/null
expect "a taint drives one out" 10 "1 1 1 1 1" get "$DS" -n s ds ds
kubectl taint node n2 k- > /dev/null
expect "and it returns" 10 "2 2 2 2 2" get "$DS" -n s ds ds
daemons x:2 | kubectl apply -f - > /dev/null
expect "rolled out" 15 "x:2 x:2" images ds
expect "complete" 10 "2 2 2 2 2" get "$DS" -n s ds ds
expect "two revisions" 5 "1 2" get '{.items[*].revision}' -n s controllerrevisions -l app=ds --sort-by=.revision
kubectl -n s rollout undo ds/ds > /dev/null
expect "rolled back" 15 "x:1 x:1" images ds
expect "complete" 10 "2 2 2 2 2" get "$DS" -n s ds ds
expect "the old revision is the newest" 5 "2 3" get '{.items[*].revision}' -n s controllerrevisions -l app=ds --sort-by=.revision
kubectl -n s patch ds ds --type=merge -p '{"spec":{"updateStrategy":{"rollingUpdate":{"maxSurge":1,"maxUnavailable":0}},"template":{"spec":{"containers":[{"name":"c","image":"x:3"}]}}}}' > /dev/null
expect "surged" 15 "x:3 x:3" images ds
POD=$(kubectl -n s get pods -l app=ds -o name | head -1)
kubectl -n s patch "$POD" --subresource=status -p '{"status":{"phase":"Failed"}}' > /dev/null
expect "a failed one is replaced" 10 "" bash -c "kubectl -n s get $POD -o name 2> /dev/null"
expect "complete" 10 "2 2 2 2 2" get "$DS" -n s ds ds
expect "event" 5 FailedDaemonPod get '{.items[0].reason}' -n s events --field-selector reason=FailedDaemonPod

# ---- StatefulSets
stateful() {  # NAME IMAGE REPLICAS POLICY
  cat << Y
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: $1, namespace: s}
spec:
  replicas: $3
  serviceName: web
  podManagementPolicy: $4
  selector: {matchLabels: {app: $1}}
  persistentVolumeClaimRetentionPolicy: {whenScaled: Delete, whenDeleted: Delete}
  template: {metadata: {labels: {app: $1}}, spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: "$2"}]}}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}]
Y
}
stateful web x:1 3 OrderedReady | kubectl apply -f - > /dev/null
SS='{.status.replicas} {.status.readyReplicas} {.status.availableReplicas} {.status.currentReplicas} {.status.updatedReplicas}'
expect "in order" 15 "3 3 3 3 3" get "$SS" -n s sts web
expect "made one after the other" 2 "web-0 web-1 web-2" get '{.items[*].metadata.name}' -n s pods -l app=web --sort-by=.metadata.creationTimestamp
expect "identity" 2 "web-1 1 web-1 web" get '{.metadata.labels.statefulset\.kubernetes\.io/pod-name} {.metadata.labels.apps\.kubernetes\.io/pod-index} {.spec.hostname} {.spec.subdomain}' -n s pod web-1
expect "claims" 2 "data-web-0 data-web-1 data-web-2" get '{.items[*].metadata.name}' -n s pvc -l app=web
expect "claims go with the set" 5 "StatefulSet StatefulSet StatefulSet" get '{.items[*].metadata.ownerReferences[0].kind}' -n s pvc -l app=web
kubectl -n s patch sts web --type=merge -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":1}},"template":{"spec":{"containers":[{"name":"c","image":"x:2"}]}}}}' > /dev/null
expect "down to the partition" 15 "x:1 x:2 x:2" images web
kubectl -n s delete pod web-0 > /dev/null
expect "held back also when made anew" 10 "x:1 x:2 x:2" images web
expect "counted" 10 "3 3 3 1 2" get "$SS" -n s sts web
kubectl -n s patch sts web --type=merge -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}' > /dev/null
expect "rolled out" 15 "x:2 x:2 x:2" images web
expect "complete" 10 "3 3 3 3 3" get "$SS" -n s sts web
kubectl -n s rollout undo sts/web > /dev/null
expect "rolled back" 20 "x:1 x:1 x:1" images web
kubectl -n s scale sts web --replicas=1 > /dev/null
expect "scaled down" 15 "web-0" names web
expect "claims are collected" 15 "data-web-0" get '{.items[*].metadata.name}' -n s pvc -l app=web
kubectl -n s patch sts web --type=merge -p '{"spec":{"replicas":2,"ordinals":{"start":2}}}' > /dev/null
expect "another first ordinal" 20 "web-2 web-3" names web
stateful par x:1 3 Parallel | kubectl apply -f - > /dev/null
expect "in parallel" 15 "3 3 3 3 3" get "$SS" -n s sts par
kubectl -n s patch pod par-1 --subresource=status -p '{"status":{"phase":"Failed"}}' > /dev/null
expect "a failed one is made anew" 10 "3 3 3 3 3" get "$SS" -n s sts par
expect "event" 5 RecreatingFailedPod get '{.items[0].reason}' -n s events --field-selector reason=RecreatingFailedPod

# ---- PodDisruptionBudgets
budget() { printf 'apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: %s, namespace: s}\nspec: {%s: %s, selector: {matchLabels: {app: %s}}}\n' "$1" "$2" "$3" "$4"; }
budget par maxUnavailable 34% par | kubectl apply -f - > /dev/null
PDB='{.status.currentHealthy} {.status.desiredHealthy} {.status.expectedPods} {.status.disruptionsAllowed} {.status.conditions[0].reason}'
expect "a share of the owner's scale, rounded up" 5 "3 1 3 2 SufficientPods" get "$PDB" -n s pdb par
kubectl -n s patch pdb par --type=merge -p '{"spec":{"maxUnavailable":0}}' > /dev/null
expect "nothing may go" 5 "3 3 3 0 InsufficientPods" get "$PDB" -n s pdb par
evict() { printf '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"%s","namespace":"s"}}' "$1" | kubectl create --raw "/api/v1/namespaces/s/pods/$1/eviction" -f - 2>&1 | grep -o 'violate\|Success' | head -1; }
expect "eviction refused" 2 violate evict par-0
kubectl -n s patch pdb par --type=merge -p '{"spec":{"maxUnavailable":1}}' > /dev/null
expect "one may go" 5 "3 2 3 1 SufficientPods" get "$PDB" -n s pdb par
expect "evicted" 2 Success evict par-0
expect "and back" 10 "3 2 3 1 SufficientPods" get "$PDB" -n s pdb par
budget ds maxUnavailable 1 ds | kubectl apply -f - > /dev/null
expect "owners without a scale" 5 "SyncFailed daemonsets.apps does not implement the scale subresource" get '{.status.conditions[0].reason} {.status.conditions[0].message}' -n s pdb ds
kubectl -n s delete pdb ds > /dev/null

# ---- upstream's controller manager takes over, then ours again
kubectl -n s wait --for=condition=Ready pod --all --timeout=20s > /dev/null
BEFORE=$(uids)
kill $MANAGER; wait $MANAGER
kube-controller-manager --kubeconfig="$KUBECONFIG" --controllers=daemonset,statefulset --leader-elect=false --bind-address=127.0.0.1 \
  --secure-port=$((PORT + 3)) > "$WORK/upstream-controllers.log" 2>&1 &
UPSTREAM=$!; PIDS+=($UPSTREAM)
daemons y:1 | sed 's/name: ds/name: theirs/; s/app: ds/app: theirs/g' | kubectl apply -f - > /dev/null
stateful their y:1 2 Parallel | kubectl apply -f - > /dev/null
expect "upstream's daemons" 20 "2 2 2 2 2" get "$DS" -n s ds theirs
expect "upstream's stateful pods" 20 "2 2 2 2 2" get "$SS" -n s sts their
sleep 3
contains() { for UID_ in $BEFORE; do case " $(uids) " in *" $UID_ "*) ;; *) echo "lost $UID_" ;; esac; done; }
expect "upstream keeps our pods" 2 "" contains
expect "and our revisions" 2 "$(kubectl -n s get controllerrevisions -l 'app in (ds,web,par)' -o name | xargs)" bash -c "kubectl -n s get controllerrevisions -l 'app in (ds,web,par)' -o name | xargs"
BEFORE=$(uids); REVISIONS=$(kubectl -n s get controllerrevisions -o name | xargs)
kill $UPSTREAM; wait $UPSTREAM 2> /dev/null
"$BINARY" --kubeconfig="$KUBECONFIG" --controllers=daemonset,statefulset,garbagecollector,namespace,pvc-protection --fast-namespaces > "$WORK/controllers2.log" 2>&1 &
PIDS+=($!); MANAGER=$!
sleep 3
expect "we keep upstream's pods" 2 "" contains
expect "and revisions" 2 "$REVISIONS" bash -c "kubectl -n s get controllerrevisions -o name | xargs"
kubectl -n s patch sts their --type=merge -p '{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"y:2"}]}}}}' > /dev/null
expect "and roll them on" 15 "y:2 y:2" images their
kill $PLAY
kubectl delete namespace s > /dev/null
report
