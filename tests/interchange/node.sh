# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced: what a node has to do for a cluster, whoever its two halves are.
expect "node is ready" 60 True get '{.status.conditions[?(@.type=="Ready")].status}' node n1
expect "node has its addresses" 0 "172.20.0.1 n1" get '{.status.addresses[*].address}' node n1
expect "lease renewed" 20 n1 get '{.spec.holderIdentity}' -n kube-node-lease lease n1
wait_for 30 kubectl get serviceaccount default
kubectl create configmap page --from-literal=greeting=hello > /dev/null
kubectl create -f - > /dev/null << 'Y'
apiVersion: v1
kind: Pod
metadata: {name: one, labels: {app: one}}
spec:
  terminationGracePeriodSeconds: 1
  initContainers:
  - {name: before, image: "knarr/demo:1.0", command: [sh, -c, "echo made > /shared/file"], volumeMounts: [{name: shared, mountPath: /shared}]}
  containers:
  - name: server
    image: knarr/demo:1.0
    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
    env:
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: GREETING, valueFrom: {configMapKeyRef: {name: page, key: greeting}}}
    volumeMounts:
    - {name: shared, mountPath: /shared}
    - {name: page, mountPath: /page}
  volumes:
  - {name: shared, emptyDir: {}}
  - {name: page, configMap: {name: page}}
Y
expect "pod is ready" 30 True get '{.status.conditions[?(@.type=="Ready")].status}' pod one
in_pod() { kubectl exec one -c server -- "$@"; }
expect "exec, environment" 5 "n1 hello" in_pod sh -c 'echo $NODE $GREETING'
expect "exec, volumes" 5 "made hello" in_pod sh -c 'echo $(cat /shared/file) $(cat /page/greeting)'
expect "service account token" 5 default in_pod sh -c 'cat /var/run/secrets/kubernetes.io/serviceaccount/namespace'
kubectl run talk --image=knarr/demo:1.0 --restart=Never --command -- sh -c 'echo said this' > /dev/null
expect "pod completes" 30 Succeeded get '{.status.phase}' pod talk
expect "logs" 5 "said this" kubectl logs talk
kubectl run crash --image=knarr/demo:1.0 --restart=Always --command -- sh -c 'exit 3' > /dev/null
expect "restarts are counted" 40 true bash -c '[ "$(kubectl get pod crash -o jsonpath={.status.containerStatuses[0].restartCount})" -ge 1 ] && echo true'
expect "exit code kept" 10 3 get '{.status.containerStatuses[0].lastState.terminated.exitCode}' pod crash
kubectl create deployment web --image=knarr/demo:1.0 --replicas=3 > /dev/null
expect "deployment runs" 60 "3 3 3" get '{.status.replicas} {.status.updatedReplicas} {.status.availableReplicas}' deployment web
kubectl expose deployment web --port=80 --target-port=8080 > /dev/null
expect "endpoints" 20 3 bash -c 'kubectl get endpoints web -o jsonpath="{.subsets[*].addresses[*].ip}" | wc -w'
kubectl set env deployment/web COLOR=blue > /dev/null
expect "rolled out" 60 'deployment "web" successfully rolled out' kubectl rollout status deployment/web --timeout=1s
kubectl delete pod one talk crash --wait=false > /dev/null
kubectl delete deployment web > /dev/null
expect "pods are gone" 60 0 bash -c 'kubectl get pods --no-headers 2> /dev/null | wc -l'
for part in apiserver controllers scheduler kubelet; do expect "$part still runs" 0 yes bash -c "kill -0 $(pid_of $part) && echo yes"; done
