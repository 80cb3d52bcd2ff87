#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cluster.sh up N [ARCHIVE...] | exec NAME COMMAND... | down: a cluster on hosts of host.sh, all of it ours but etcd: `kubeadm init` on the host master,
# `kubeadm join` on worker1 ... workerN, our kubelet, our images (made on first use), flannel by deploy/kube-flannel.yml, kube-proxy, DNS.
#
# ARCHIVEs are images that each worker gets besides. $CLUSTER/kubeconfig reaches it from this machine, too. When `up` returns, all nodes are Ready
# and kube-system runs. Environment: BUILD (build), CLUSTER (/tmp/knarr-cluster), KNARR_KIT (crictl, kubectl), and HOSTS_NET, HOSTS_BRIDGE,
# HOSTS_PREFIX of host.sh when there is more than one cluster. Needs root; exits 77 where it may not.
set -euo pipefail
cd "$(dirname "$0")/../.."
unset KUBECONFIG
BUILD=$(realpath "${BUILD:-build}") CLUSTER=${CLUSTER:-/tmp/knarr-cluster}
export HOSTS=$CLUSTER/hosts HOSTS_NET=${HOSTS_NET:-172.29.9} HOSTS_BRIDGE=${HOSTS_BRIDGE:-knarrcluster} HOSTS_PREFIX=${HOSTS_PREFIX:-c-}
export PATH=$CLUSTER/bin:${KNARR_KIT:-/var/cache/knarr-kit/v1.28.4}/bin:$PATH
host=tests/lib/host.sh
images=$BUILD/share/knarr/images-kubeadm
token=abcdef.0123456789abcdef

write_configuration() {
  cat > "$CLUSTER/kubeadm.yaml" << K
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
bootstrapTokens:
- token: $token
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
kubernetesVersion: v1.28.4
networking: {podSubnet: 10.244.0.0/16}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
# The hosts share one disk and one memory with whatever else this machine does.
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
K
}
logged() { # NAME COMMAND...
  local name=$1
  shift
  "$@" > "$CLUSTER/$name.log" 2>&1 || { echo "cluster.sh: $name:" >&2; tail -n 20 "$CLUSTER/$name.log" >&2; return 1; }
}
make_host() { # NAME NUMBER ARCHIVE...
  local name=$1 number=$2
  shift 2
  logged "$name-up" $host up "$name" "$HOSTS_NET.$number" "$CLUSTER/bin/kubelet"
  logged "$name-images" $host load "$name" "$@"
}
# Waits for all, and fails when one of them did.
wait_all() {
  local pid failed=0
  for pid; do wait "$pid" || failed=1; done
  return $failed
}

up() {
  local count=$1 i pids=() hash all
  shift
  mkdir -p "$CLUSTER/bin"
  ln -sf "$BUILD/bin/knarr" "$CLUSTER/bin/kubeadm"
  ln -sf "$BUILD/bin/knarr" "$CLUSTER/bin/kubelet"
  [ "$images/docker.io_knarr_flannel_v0.24.0.tar" -nt "$BUILD/bin/knarr" ] || logged make-images tools/make-images.sh "$BUILD"
  write_configuration
  make_host master 10 "$images"/*.tar
  for i in $(seq "$count"); do
    make_host "worker$i" $((10 + i)) "$images"/registry.k8s.io_{coredns*,kube-proxy*,pause*}.tar "$images"/docker.io_knarr_flannel*.tar "$@" &
    pids+=($!)
  done
  logged init $host exec master kubeadm init --config "$CLUSTER/kubeadm.yaml" --ignore-preflight-errors=HTTPProxyCIDR
  cp "$HOSTS/master/root/etc/kubernetes/admin.conf" "$CLUSTER/kubeconfig"
  export KUBECONFIG=$CLUSTER/kubeconfig
  logged flannel kubectl apply -f deploy/kube-flannel.yml
  wait_all "${pids[@]}"
  pids=()
  hash=$(openssl x509 -pubkey -noout -in "$HOSTS/master/root/etc/kubernetes/pki/ca.crt" | openssl rsa -pubin -outform der 2> /dev/null | sha256sum | cut -d' ' -f1)
  for i in $(seq "$count"); do
    logged "join$i" $host exec "worker$i" kubeadm join "$HOSTS_NET.10:6443" --token $token --discovery-token-ca-cert-hash "sha256:$hash" &
    pids+=($!)
  done
  wait_all "${pids[@]}"
  all=$(seq -f 'node/worker%.0f' "$count")
  # shellcheck disable=SC2086
  logged nodes kubectl wait --for=condition=Ready --timeout=120s node/master $all
  logged rollout kubectl -n kube-flannel rollout status --timeout=120s ds/kube-flannel-ds
  logged rollout kubectl -n kube-system rollout status --timeout=120s ds/kube-proxy
  logged rollout kubectl -n kube-system rollout status --timeout=120s deploy/coredns
  echo "cluster of $((count + 1)) hosts: KUBECONFIG=$CLUSTER/kubeconfig"
}

case ${1:-} in
up) shift; [ "$(id -u)" = 0 ] || exit 77; up "$@" ;;
exec) shift; $host exec "$@" ;;
down)
  $host down
  rm -rf "$CLUSTER" ;;
*) sed -n 3,8p "$0"; exit 2 ;;
esac
