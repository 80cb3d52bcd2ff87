#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Our controllers against upstream's API server (v1.28): checks what they make of workloads, services, namespaces, garbage and nodes.
#
#   UPSTREAM_BIN=/path/with/kube-apiserver/and/kubectl tests/interchange/controllers.sh [BINARY]
# BINARY is build-dev/src/controller/controller_dev. Needs etcd, openssl and python3 in the PATH.
cd "$(dirname "$0")/../.."
. tests/interchange/controllers_lib.sh

# ---- namespaces and their furniture
kubectl create namespace a > /dev/null
expect "service account default" 5 default get '{.metadata.name}' -n a serviceaccount default
expect "root CA published" 5 "$(cat "$P/ca.crt")" get '{.data.ca\.crt}' -n a configmap kube-root-ca.crt
kubectl -n a delete configmap kube-root-ca.crt > /dev/null
expect "root CA published again" 5 kube-root-ca.crt get '{.metadata.name}' -n a configmap kube-root-ca.crt
kubectl -n a apply -f - > /dev/null << 'Y'
apiVersion: v1
kind: Secret
metadata: {name: tok, annotations: {kubernetes.io/service-account.name: default}}
type: kubernetes.io/service-account-token
Y
token_user() { kubectl --kubeconfig /dev/null -s "https://127.0.0.1:$PORT" --certificate-authority "$P/ca.crt" \
  --token "$(kubectl -n a get secret tok -o 'jsonpath={.data.token}' | base64 -d)" auth whoami -o 'jsonpath={.status.userInfo.username}'; }
expect "token secret is valid" 5 system:serviceaccount:a:default token_user

# ---- a node
kubectl apply -f - > /dev/null << 'Y'
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/zone: z1, kubernetes.io/os: linux}}
Y
node_ready n1
heartbeat n1 & HEART=$!
PIDS+=($HEART)
expect "pod CIDR" 5 10.244.0.0/24 get '{.spec.podCIDR}' node n1
expect "beta label" 5 linux get '{.metadata.labels.beta\.kubernetes\.io/os}' node n1

# ---- ReplicaSets and ReplicationControllers
kubectl -n a apply -f - > /dev/null << 'Y'
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: rs}
spec:
  replicas: 9
  selector: {matchLabels: {app: rs}}
  template: {metadata: {labels: {app: rs}}, spec: {containers: [{name: c, image: x}]}}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: rc}
spec:
  replicas: 3
  selector: {app: rc}
  template: {metadata: {labels: {app: rc}}, spec: {containers: [{name: c, image: x}]}}
Y
expect "replica set makes pods" 5 9 get '{.status.replicas}' -n a rs rs
expect "exactly as many" 1 9 count -n a pods -l app=rs
kubectl -n a scale rs rs --replicas=4 > /dev/null
expect "replica set removes pods" 5 4 count -n a pods -l app=rs
expect "replication controller makes pods" 5 3 get '{.status.replicas}' -n a rc rc
POD=$(kubectl -n a get pods -l app=rc -o name | head -1)
kubectl -n a label "$POD" app=other --overwrite > /dev/null
expect "released" 5 "" get '{.metadata.ownerReferences}' -n a "$POD"
expect "and replaced" 5 3 count -n a pods -l app=rc
kubectl -n a delete rc rc --cascade=orphan > /dev/null
expect "orphaned" 5 "" get '{.items[*].metadata.ownerReferences}' -n a pods -l app=rc
kubectl -n a apply -f - > /dev/null << 'Y'
apiVersion: v1
kind: ReplicationController
metadata: {name: rc2}
spec:
  replicas: 3
  selector: {app: rc}
  template: {metadata: {labels: {app: rc}}, spec: {containers: [{name: c, image: x}]}}
Y
expect "adopted" 5 "rc2 rc2 rc2" get '{.items[*].metadata.ownerReferences[0].name}' -n a pods -l app=rc
kubectl -n a delete rc rc2 > /dev/null
expect "collected in the background" 10 0 count -n a pods -l app=rc

# ---- Deployments, Endpoints, EndpointSlices
kubectl create namespace b > /dev/null
deployment b web 3 x:1 | kubectl apply -f - > /dev/null
kubectl -n b apply -f - > /dev/null << 'Y'
apiVersion: v1
kind: Service
metadata: {name: web, labels: {l: v}}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: manual}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: manual}
subsets: [{addresses: [{ip: 10.9.8.7}], ports: [{port: 99}]}]
Y
rollout b web
expect "deployment is complete" 5 "3 3 3" get '{.status.replicas} {.status.updatedReplicas} {.status.availableReplicas}' -n b deploy web
expect "condition Progressing" 5 NewReplicaSetAvailable get '{.status.conditions[?(@.type=="Progressing")].reason}' -n b deploy web
expect "endpoints" 5 "8080 http 3" python3 -c '
import json, subprocess
e = json.loads(subprocess.check_output(["kubectl", "-n", "b", "get", "endpoints", "web", "-o", "json"]))["subsets"][0]
print(e["ports"][0]["port"], e["ports"][0]["name"], len(e["addresses"]))'
expect "endpoint slice" 5 "n1 n1 n1 z1 z1 z1 true true true v" get '{.items[0].endpoints[*].nodeName} {.items[0].endpoints[*].zone} {.items[0].endpoints[*].conditions.serving} {.items[0].metadata.labels.l}' -n b endpointslices -l kubernetes.io/service-name=web
expect "mirrored slice" 5 "10.9.8.7 99" get '{.items[0].endpoints[0].addresses[0]} {.items[0].ports[0].port}' -n b endpointslices -l endpointslice.kubernetes.io/managed-by=endpointslicemirroring-controller.k8s.io
kubectl -n b set image deploy/web c=x:2 > /dev/null
rollout b web
expect "rolled out" 5 "0 3" get '{.items[*].spec.replicas}' -n b rs --sort-by=.metadata.creationTimestamp
expect "revision" 5 2 get '{.metadata.annotations.deployment\.kubernetes\.io/revision}' -n b deploy web
kubectl -n b rollout undo deploy/web > /dev/null
rollout b web
expect "rolled back" 5 "3 0" get '{.items[*].spec.replicas}' -n b rs --sort-by=.metadata.creationTimestamp
expect "revision of the past" 5 3 get '{.metadata.annotations.deployment\.kubernetes\.io/revision}' -n b deploy web
kubectl -n b scale deploy web --replicas=0 > /dev/null
expect "no endpoints left" 10 "" get '{.subsets}' -n b endpoints web
expect "one empty slice" 10 1 count -n b endpointslices -l kubernetes.io/service-name=web
kubectl -n b delete deploy web --cascade=foreground > /dev/null
expect "foreground deletion" 10 0 count -n b rs

# ---- Jobs and CronJobs
kubectl create namespace d > /dev/null
# Ends the pods of a Job that are neither ended nor ending: NAME PHASE EXIT_CODE
end_pods() {
  local pod now
  now=$(date -u +%FT%TZ)
  for pod in $(kubectl -n d get pods -l "job-name=$1" -o 'jsonpath={range .items[?(@.status.phase=="Pending")]}{.metadata.name}{"\n"}{end}'); do
    kubectl -n d patch pod "$pod" --subresource=status -p "{\"status\":{\"phase\":\"$2\",\"containerStatuses\":[{\"name\":\"c\",\"image\":\"x\",
      \"imageID\":\"\",\"ready\":false,\"restartCount\":0,\"state\":{\"terminated\":{\"exitCode\":$3,\"finishedAt\":\"$now\"}}}]}}" > /dev/null
  done
}
job() {  # NAME SPEC
  kubectl -n d create -f - > /dev/null << Y
apiVersion: batch/v1
kind: Job
metadata: {name: $1}
spec: {$2, template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}
Y
}
finalizers() { get '{.items[*].metadata.finalizers}' -n d pods -l "job-name=$1"; }
job plain 'completions: 3, parallelism: 2'
expect "job makes pods" 5 2 get '{.status.active}' -n d job plain
end_pods plain Succeeded 0
expect "and the rest" 5 "1 2" get '{.status.active} {.status.succeeded}' -n d job plain
end_pods plain Succeeded 0
expect "job is complete" 5 "3 Complete True" get '{.status.succeeded} {.status.conditions[0].type} {.status.conditions[0].status}' -n d job plain
expect "its pods are free" 5 "" finalizers plain
job indexed 'completions: 5, parallelism: 3, completionMode: Indexed'
expect "indexes" 5 "0 1 2" bash -c "kubectl -n d get pods -l job-name=indexed -o 'jsonpath={range .items[*]}{.metadata.labels.batch\.kubernetes\.io/job-completion-index}{\"\n\"}{end}' | sort | xargs"
end_pods indexed Succeeded 0
expect "completed indexes" 5 0-2 get '{.status.completedIndexes}' -n d job indexed
end_pods indexed Succeeded 0
expect "indexed job is complete" 5 "0-4 Complete" get '{.status.completedIndexes} {.status.conditions[0].type}' -n d job indexed
job bad 'backoffLimit: 0, parallelism: 2, ttlSecondsAfterFinished: 3'
expect "pods of a job that will fail" 5 2 get '{.status.active}' -n d job bad
kubectl -n d get pods -l job-name=bad -o name | head -1 | xargs kubectl -n d delete --wait=false > /dev/null
expect "failed" 5 "2 BackoffLimitExceeded" get '{.status.failed} {.status.conditions[0].reason}' -n d job bad
expect "and expired" 15 0 count -n d job bad
job policy 'backoffLimit: 6, podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]}'
expect "pod of a job with a policy" 5 1 get '{.status.active}' -n d job policy
end_pods policy Failed 42
expect "failed by policy" 5 "FailureTarget Failed PodFailurePolicy PodFailurePolicy" get '{.status.conditions[*].type} {.status.conditions[*].reason}' -n d job policy
job paused 'suspend: true, parallelism: 2, completions: 2'
expect "suspended" 5 "Suspended True" get '{.status.conditions[0].type} {.status.conditions[0].status}' -n d job paused
kubectl -n d patch job paused -p '{"spec":{"suspend":false}}' > /dev/null
expect "resumed" 5 "False 2" get '{.status.conditions[0].status} {.status.active}' -n d job paused
kubectl -n d patch job paused -p '{"spec":{"suspend":true}}' > /dev/null
expect "pods of a suspended job go" 5 0 count -n d pods -l job-name=paused
kubectl -n d delete job plain --cascade=foreground > /dev/null
expect "job and pods deleted" 10 0 count -n d pods -l job-name=plain
kubectl -n d create -f - > /dev/null << 'Y'
apiVersion: batch/v1
kind: CronJob
metadata: {name: often}
spec:
  schedule: "@every 2s"
  timeZone: Asia/Tokyo
  concurrencyPolicy: Forbid
  jobTemplate: {metadata: {labels: {cron: often}}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}
Y
expect "cron job starts a job" 10 1 count -n d jobs -l cron=often
expect "and lists it" 5 "$(get '{.items[0].metadata.name}' -n d jobs -l cron=often)" get '{.status.active[*].name}' -n d cronjob often
expect "in its time zone" 1 +09:00 bash -c "kubectl -n d get jobs -l cron=often -o 'jsonpath={.items[0].metadata.annotations.batch\.kubernetes\.io/cronjob-scheduled-timestamp}' | grep -o '+09:00'"
kubectl -n d patch cronjob often -p '{"spec":{"suspend":true}}' > /dev/null
end_pods "$(get '{.items[0].metadata.name}' -n d jobs -l cron=often)" Succeeded 0
expect "cron job saw it end" 5 "" get '{.status.active}' -n d cronjob often
expect "and when" 5 yes bash -c '[ -n "$(kubectl -n d get cronjob often -o jsonpath={.status.lastSuccessfulTime})" ] && echo yes'
kubectl -n d delete cronjob often > /dev/null
expect "its jobs are collected" 10 0 count -n d jobs -l cron=often

# ---- volumes, and an autoscaler
kubectl apply -f - > /dev/null << 'Y'
apiVersion: v1
kind: PersistentVolume
metadata: {name: small}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /srv/small}, storageClassName: manual}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: large}
spec: {capacity: {storage: 5Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /srv/large}, storageClassName: manual}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: elsewhere}
provisioner: example.com/disks
Y
expect "volume is available" 5 Available get '{.status.phase}' pv small
claim() {  # NAME SIZE CLASS
  printf 'apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: %s}\nspec: {accessModes: [ReadWriteOnce], storageClassName: %s, resources: {requests: {storage: %s}}}\n' \
    "$1" "$3" "$2" | kubectl -n d create -f - > /dev/null
}
claim first 500Mi manual
expect "claim is bound to the least volume" 5 "Bound small 1Gi" get '{.status.phase} {.spec.volumeName} {.status.capacity.storage}' -n d pvc first
expect "and the volume to it" 5 "Bound first" get '{.status.phase} {.spec.claimRef.name}' pv small
claim second 2Gi manual
expect "the next takes the other" 5 "Bound large" get '{.status.phase} {.spec.volumeName}' -n d pvc second
claim third 1Gi manual
expect "the third waits" 5 Pending get '{.status.phase}' -n d pvc third
kubectl -n d delete pvc first > /dev/null
expect "volume is released" 5 "Released first" get '{.status.phase} {.spec.claimRef.name}' pv small
kubectl patch pv small --type=merge -p '{"spec":{"claimRef":null}}' > /dev/null
expect "and given to the third" 5 "Bound small" get '{.status.phase} {.spec.volumeName}' -n d pvc third
claim made 1Gi elsewhere
expect "provisioner is asked" 5 example.com/disks get '{.metadata.annotations.volume\.kubernetes\.io/storage-provisioner}' -n d pvc made
kubectl -n d create -f - > /dev/null << 'Y'
apiVersion: v1
kind: Pod
metadata: {name: scratch}
spec:
  containers: [{name: c, image: x}]
  volumes: [{name: v, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], storageClassName: elsewhere, resources: {requests: {storage: 1Mi}}}}}}]
Y
expect "claim of an ephemeral volume" 5 scratch get '{.metadata.ownerReferences[0].name}' -n d pvc scratch-v
kubectl -n d delete pod scratch --grace-period=0 --force > /dev/null 2>&1
deployment d scaled 1 x | kubectl apply -f - > /dev/null
kubectl -n d autoscale deployment scaled --min=2 --max=3 --cpu-percent=50 > /dev/null
expect "autoscaler keeps the least size" 10 2 get '{.spec.replicas}' -n d deploy scaled
expect "and misses metrics" 30 FailedGetResourceMetric get '{.status.conditions[?(@.type=="ScalingActive")].reason}' -n d hpa scaled
kubectl -n d delete deploy,hpa scaled > /dev/null

# ---- garbage of custom kinds, and across namespaces
kubectl apply -f - > /dev/null << 'Y'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  names: {plural: things, singular: thing, kind: Thing}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
Y
kubectl wait --for=condition=Established crd/things.example.com --timeout=10s > /dev/null
thing() { printf 'apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: %s, namespace: b, ownerReferences: [%s]}\n' "$1" "$2" | kubectl create -f - > /dev/null; }
reference() { printf '{apiVersion: example.com/v1, kind: Thing, name: %s, uid: %s}' "$1" "$(get '{.metadata.uid}' -n b thing "$1")"; }
for _ in $(seq 50); do thing owner "" 2> /dev/null && break; sleep 0.1; done
thing dependent "$(reference owner)"
thing both "$(reference owner), {apiVersion: v1, kind: ConfigMap, name: kube-root-ca.crt, uid: $(get '{.metadata.uid}' -n b configmap kube-root-ca.crt)}"
sleep 12  # until the new kind is watched
kubectl -n b delete thing owner > /dev/null
expect "custom dependent collected" 15 both get '{.items[*].metadata.name}' -n b things
expect "dangling reference dropped" 10 ConfigMap get '{.metadata.ownerReferences[*].kind}' -n b thing both
thing lost '{apiVersion: example.com/v1, kind: Thing, name: nobody, uid: 11111111-2222-3333-4444-555555555555}'
expect "absent owner" 15 both get '{.items[*].metadata.name}' -n b things
kubectl delete namespace b > /dev/null
expect "namespace is gone" 10 0 count namespace b
kubectl create namespace stuck > /dev/null
kubectl -n stuck create -f - > /dev/null << 'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: held, finalizers: [example.com/hold]}
Y
kubectl delete namespace stuck --wait=false > /dev/null
expect "content remains" 10 "Some resources are remaining: configmaps. has 1 resource instances" get '{.status.conditions[?(@.type=="NamespaceContentRemaining")].message}' namespace stuck
expect "finalizers remain" 10 "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances" get '{.status.conditions[?(@.type=="NamespaceFinalizersRemaining")].message}' namespace stuck
kubectl -n stuck patch configmap held --type=merge -p '{"metadata":{"finalizers":null}}' > /dev/null
expect "stuck no longer" 15 0 count namespace stuck

# ---- a node falls silent
kubectl create namespace c > /dev/null
kubectl apply -f - > /dev/null << 'Y'
apiVersion: v1
kind: Node
metadata: {name: n2}
Y
deployment c one 1 x:1 | kubectl apply -f - > /dev/null
rollout c one
node_ready n2
heartbeat n2 &
PIDS+=($!)
kill $HEART
expect "unknown" 20 "Unknown NodeStatusUnknown" get '{.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].reason}' node n1
expect "tainted" 20 "NoExecute NoSchedule" bash -c "kubectl get node n1 -o 'jsonpath={range .spec.taints[?(@.key==\"node.kubernetes.io/unreachable\")]}{.effect}{\"\\n\"}{end}' | sort | xargs"
expect "pod is not ready" 10 False get '{.items[0].status.conditions[?(@.type=="Ready")].status}' -n c pods -l app=one
node_ready n1
heartbeat n1 &
PIDS+=($!)
expect "reachable again" 15 "" get '{.spec.taints[*].key}' node n1
kubectl delete node n2 > /dev/null

kubectl delete namespace a c d > /dev/null
kubectl delete pv small large > /dev/null
report
