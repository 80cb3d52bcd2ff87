#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/kubeadm/join.sh BUILD [CONTROL_PLANE] [WORKER]: a control plane by one kubeadm and a worker by the other, on two hosts; each is `ours` or `upstream`
# (ours, ours). Refused first: a wrong token, a wrong hash, none at all. Ends with "N passed, N failed". Upstream's kubelet serves both; images are those
# of $KNARR_KIT, or of IMAGES (a folder of archives). Needs root, containerd and $KNARR_KIT (exit 77 where there are none).
set -uo pipefail
unset KUBECONFIG
cd "$(dirname "$0")/../.."
BUILD=${1:-build} plane=${2:-ours} worker=${3:-ours}
KIT=${KNARR_KIT:-/var/cache/knarr-kit/v1.28.4}
[ "$(id -u)" = 0 ] && [ -x "$KIT/bin/kubelet" ] || { echo "join.sh: needs root and $KIT" >&2; exit 77; }
OUT=$(mktemp -d /tmp/knarr-join.XXXXXX)
export HOSTS=$OUT/hosts HOSTS_NET=${HOSTS_NET:-172.29.2} HOSTS_BRIDGE=${HOSTS_BRIDGE:-knarrjoin} PATH=$KIT/bin:$PATH
KUBELET=${KUBELET:-$KIT/bin/kubelet} IMAGES=${IMAGES:-$KIT/images}
host=tests/lib/host.sh m=join-master w=join-worker
passed=0 failed=0
mkdir -p "$OUT/ours" "$OUT/upstream"
ln -s "$(realpath "$BUILD/bin/knarr")" "$OUT/ours/kubeadm"
ln -s "$KIT/bin/kubeadm" "$OUT/upstream/kubeadm"
trap '[ $failed = 0 ] || { tail -n 20 "$HOSTS"/*/kubelet.log; }; $host down > /dev/null 2>&1; rm -rf "$OUT"' EXIT

on() { # HOST WHOSE COMMAND...
  local where=$1 path=$OUT/$2:$PATH
  shift 2
  $host exec $where env PATH="$path" "$@"
}
check() { # NAME COMMAND...
  local name=$1
  shift
  if "$@" > "$OUT/last" 2>&1; then passed=$((passed + 1)); echo "ok   $name"; else failed=$((failed + 1)); echo "FAIL $name"; tail -n 15 "$OUT/last"; fi
}
refused() { # NAME TEXT COMMAND...
  local name=$1 text=$2
  shift 2
  if ! "$@" > "$OUT/last" 2>&1 && grep -qF -- "$text" "$OUT/last"; then passed=$((passed + 1)); echo "ok   $name"; else failed=$((failed + 1)); echo "FAIL $name"; tail -n 15 "$OUT/last"; fi
}
kubectl_m() { $host exec $m env KUBECONFIG=/etc/kubernetes/admin.conf kubectl "$@"; }
until_true() { # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.5; done
}
node_is_there() { kubectl_m get node "$1" -o name | grep -q "^node/$1$"; }

cat > "$OUT/kubeadm.yaml" << 'K'
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
bootstrapTokens:
- token: abcdef.0123456789abcdef
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
kubernetesVersion: v1.28.4
networking: {podSubnet: 10.244.0.0/16}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
K
$host up $m "$HOSTS_NET.10" "$KUBELET"
$host up $w "$HOSTS_NET.11" "$KUBELET"
$host load $m "$IMAGES"/registry.k8s.io_{kube-*,etcd*,coredns*,pause_3.9}*.tar
$host load $w "$IMAGES"/registry.k8s.io_{kube-proxy,pause_3.9}*.tar
check "control plane by $plane kubeadm" on $m $plane kubeadm init --config "$OUT/kubeadm.yaml" --ignore-preflight-errors=HTTPProxyCIDR
hash=$(openssl x509 -pubkey -noout -in "$HOSTS/$m/root/etc/kubernetes/pki/ca.crt" | openssl rsa -pubin -outform der 2> /dev/null | sha256sum | cut -d' ' -f1)
join=(kubeadm join "$HOSTS_NET.10:6443" --token)
zeros=0000000000000000000000000000000000000000000000000000000000000000
# The signer needs a moment for its first signature.
until_true 30 sh -c "$host exec $m env KUBECONFIG=/etc/kubernetes/admin.conf kubectl -n kube-public get cm cluster-info -o yaml | grep -q jws-kubeconfig-abcdef"
refused "a wrong token" "failed to verify JWS signature" on $w $worker "${join[@]}" abcdef.ffffffffffffffff --discovery-token-ca-cert-hash "sha256:$hash"
refused "a wrong hash" "are pinned" on $w $worker "${join[@]}" abcdef.0123456789abcdef --discovery-token-ca-cert-hash "sha256:$zeros"
refused "no hash" "using token-based discovery without caCertHashes can be unsafe" on $w $worker "${join[@]}" abcdef.0123456789abcdef
check "join by $worker kubeadm" on $w $worker "${join[@]}" abcdef.0123456789abcdef --discovery-token-ca-cert-hash "sha256:$hash"
check "the worker is a node" until_true 20 node_is_there $w
check "its runtime is noted" sh -c "$host exec $m env KUBECONFIG=/etc/kubernetes/admin.conf kubectl get node $w -o yaml | grep -q 'kubeadm.alpha.kubernetes.io/cri-socket: unix:///var/run/containerd/containerd.sock'"
check "its certificate comes from a request" sh -c "$host exec $w openssl x509 -noout -subject -in /var/lib/kubelet/pki/kubelet-client-current.pem | grep -q system:node:$w"
check "bootstrap credentials are gone" test ! -e "$HOSTS/$w/root/etc/kubernetes/bootstrap-kubelet.conf"
refused "a second join" "/etc/kubernetes/kubelet.conf already exists" on $w $worker "${join[@]}" abcdef.0123456789abcdef --discovery-token-ca-cert-hash "sha256:$hash"
check "token list" sh -c "$host exec $m env PATH=$OUT/$plane:$PATH kubeadm token list | grep -q '^abcdef.0123456789abcdef '"
check "reset of the worker" on $w $worker kubeadm reset -f
check "nothing is left of it" sh -c "! find $HOSTS/$w/root/etc/kubernetes -type f | grep -q ."
check "it joins again with a printed command" sh -c "$host exec $m env PATH=$OUT/$plane:$PATH kubeadm token create --print-join-command > $OUT/command && $host exec $m env KUBECONFIG=/etc/kubernetes/admin.conf kubectl delete node $w && $host exec $w env PATH=$OUT/$worker:$PATH sh -c \"\$(cat $OUT/command)\""
check "reset of the control plane" on $m $plane kubeadm reset -f
echo "$passed passed, $failed failed"
[ $failed = 0 ]
