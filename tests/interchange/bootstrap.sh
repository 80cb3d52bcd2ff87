# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced: a node that knows nothing but a bootstrap token joins, as after `kubeadm join`: its client certificate is approved and signed, its
# kubeconfig written, its certificates renewed while it runs, its serving certificate signed once somebody approves it.
#   bootstrap_cluster            tokens and rights, as kubeadm makes them
#   bootstrap_kubelet WHOSE NODE starts it     check_bootstrap NODE
TOKEN=abcdef.0123456789abcdef

bootstrap_cluster() {
  wait_for 30 kubectl get namespace kube-public
  kubectl create -f - > /dev/null << Y
apiVersion: v1
kind: Secret
metadata: {name: bootstrap-token-abcdef, namespace: kube-system}
type: bootstrap.kubernetes.io/token
stringData:
  token-id: abcdef
  token-secret: 0123456789abcdef
  usage-bootstrap-authentication: "true"
  usage-bootstrap-signing: "true"
  auth-extra-groups: system:bootstrappers:kubeadm:default-node-token
---
apiVersion: v1
kind: Secret
metadata: {name: bootstrap-token-zzzzzz, namespace: kube-system}
type: bootstrap.kubernetes.io/token
stringData: {token-id: zzzzzz, token-secret: 0123456789abcdef, usage-bootstrap-signing: "true", expiration: "$(date -u -d '+10 seconds' +%FT%TZ)"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: cluster-info, namespace: kube-public}
data: {kubeconfig: "apiVersion: v1\n"}
Y
  kubectl create clusterrolebinding kubeadm:kubelet-bootstrap --clusterrole=system:node-bootstrapper \
    --group=system:bootstrappers:kubeadm:default-node-token > /dev/null
  kubectl create clusterrolebinding kubeadm:node-autoapprove-bootstrap --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient \
    --group=system:bootstrappers:kubeadm:default-node-token > /dev/null
  kubectl create clusterrolebinding kubeadm:node-autoapprove-certificate-rotation \
    --clusterrole=system:certificates.k8s.io:certificatesigningrequests:selfnodeclient --group=system:nodes > /dev/null
}

bootstrap_kubelet() { # upstream|knarr NODE
  local whose=$1 node=$2 dir=$SANDBOX/kubelet program=("$UPSTREAM/kubelet")
  [ "$whose" = upstream ] || program=("$KNARR" kubelet)
  mkdir -p "$dir/manifests"
  cat > "$dir/bootstrap.conf" << K
apiVersion: v1
kind: Config
clusters: [{name: kubernetes, cluster: {server: "https://$HOST:6443", certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")}}]
users: [{name: tls-bootstrap-token-user, user: {token: $TOKEN}}]
contexts: [{name: x, context: {cluster: kubernetes, user: tls-bootstrap-token-user}}]
current-context: x
K
  echo 'nameserver 127.0.0.53' > "$dir/resolv.conf"
  cat > "$dir/config.yaml" << K
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true, cacheTTL: 0s}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook, webhook: {cacheAuthorizedTTL: 0s, cacheUnauthorizedTTL: 0s}}
cgroupDriver: cgroupfs
cgroupRoot: $SANDBOX_CGROUP
failSwapOn: false
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
containerRuntimeEndpoint: ""
healthzBindAddress: 127.0.0.1
healthzPort: 10248
rotateCertificates: true
serverTLSBootstrap: true
staticPodPath: $dir/manifests
resolvConf: $dir/resolv.conf
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
K
  start kubelet "${program[@]}" --bootstrap-kubeconfig="$dir/bootstrap.conf" --kubeconfig="$dir/kubelet.conf" --config="$dir/config.yaml" \
    --container-runtime-endpoint="unix://$RUNTIME" --pod-infra-container-image=registry.k8s.io/pause:3.9 --root-dir="$dir/root" \
    --cert-dir="$dir/pki" --node-ip=$HOST --hostname-override="$node" --node-labels=example.com/color=blue --register-with-taints=example.com/new=yes:PreferNoSchedule
}

serving_issuer() { openssl s_client -connect $HOST:10250 < /dev/null 2> /dev/null | openssl x509 -noout -issuer | tr -d ' '; }
client_serial() { openssl x509 -noout -serial -in "$SANDBOX/kubelet/pki/kubelet-client-current.pem" 2> /dev/null; }
approve_serving() {
  local name
  for name in $(kubectl get csr -o 'jsonpath={range .items[?(@.spec.signerName=="kubernetes.io/kubelet-serving")]}{.metadata.name}{"\n"}{end}'); do
    kubectl certificate approve "$name"
  done > /dev/null 2>&1
  serving_issuer
}
https_code() { curl -sk -o /dev/null -w '%{http_code}' "$@"; }

check_bootstrap() { # NODE
  local node=$1 dir=$SANDBOX/kubelet first
  expect "cluster-info is signed" 30 "eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9" \
    bash -c "kubectl -n kube-public get cm cluster-info -o 'jsonpath={.data.jws-kubeconfig-abcdef}' | cut -d. -f1"
  expect "node is ready" 60 True get '{.status.conditions[?(@.type=="Ready")].status}' node "$node"
  expect "request was approved" 5 "AutoApproved: Auto approving kubelet client certificate after SubjectAccessReview." get \
    '{.items[?(@.spec.username=="system:bootstrap:abcdef")].status.conditions[0].reason}: {.items[?(@.spec.username=="system:bootstrap:abcdef")].status.conditions[0].message}' csr
  expect "its name is a digest" 5 node-csr- bash -c "kubectl get csr -o 'jsonpath={.items[?(@.spec.username==\"system:bootstrap:abcdef\")].metadata.generateName}{.items[?(@.spec.username==\"system:bootstrap:abcdef\")].metadata.name}' | sed -E 's/^csr-csr-.*/node-csr-/' | cut -c1-9"
  expect "kubeconfig points to the pair" 5 "$dir/pki/kubelet-client-current.pem" kubectl --kubeconfig "$dir/kubelet.conf" config view -o 'jsonpath={.users[0].user.client-certificate}'
  expect "current pair is a link" 5 yes bash -c "readlink $dir/pki/kubelet-client-current.pem | grep -qE '/kubelet-client-[0-9-]{19}.pem$' && echo yes"
  expect "node can use it" 10 "$node" kubectl --kubeconfig "$dir/kubelet.conf" get node "$node" -o 'jsonpath={.metadata.name}'
  expect "label" 5 blue get '{.metadata.labels.example\.com/color}' node "$node"
  expect "taint" 5 "yes:PreferNoSchedule" get '{.spec.taints[?(@.key=="example.com/new")].value}:{.spec.taints[?(@.key=="example.com/new")].effect}' node "$node"
  expect "serving certificate" 30 "issuer=CN=kubernetes" approve_serving
  first=$(client_serial)
  expect "client certificate is renewed" 90 renewed bash -c "$(declare -f client_serial); SANDBOX=$SANDBOX; [ \"\$(client_serial)\" != '$first' ] && echo renewed"
  expect "renewed as itself" 5 yes bash -c "kubectl get csr -o 'jsonpath={.items[?(@.spec.username==\"system:node:$node\")].status.conditions[*].message}' | grep -q 'Auto approving self kubelet client certificate' && echo yes"
  expect "healthz on loopback" 5 ok curl -s http://127.0.0.1:10248/healthz
  expect "nobody is let in" 5 401 https_code https://$HOST:10250/pods
  expect "a client certificate is" 5 200 https_code --cert "$PKI/admin.crt" --key "$PKI/admin.key" https://$HOST:10250/pods
  kubectl create serviceaccount visitor > /dev/null 2>&1
  local token; token=$(kubectl create token visitor)
  expect "a token without rights is not" 5 403 https_code -H "Authorization: Bearer $token" https://$HOST:10250/metrics
  kubectl create clusterrolebinding visitor --clusterrole=system:kubelet-api-admin --serviceaccount=default:visitor > /dev/null
  expect "a token with rights is" 40 200 https_code -H "Authorization: Bearer $token" https://$HOST:10250/metrics
  kubectl run one --image=knarr/demo:1.0 --restart=Never --command -- sh -c 'echo said this; sleep 100' > /dev/null
  expect "pod runs" 40 Running get '{.status.phase}' pod one
  expect "logs" 10 "said this" kubectl logs one
  # The certificate of a minute ago is over: what still works, works by a renewed one.
  sleep 20
  kubectl delete pod one --grace-period=1 --wait=false > /dev/null
  expect "pod is gone" 40 "" kubectl get pods --ignore-not-found -o name
  expect "expired token is removed" 30 "" kubectl -n kube-system get secret bootstrap-token-zzzzzz --ignore-not-found -o name
  expect "and its signature" 10 "" get '{.data.jws-kubeconfig-zzzzzz}' -n kube-public configmap cluster-info
  for part in apiserver controllers scheduler kubelet; do expect "$part still runs" 0 yes bash -c "kill -0 $(pid_of $part) && echo yes"; done
}
