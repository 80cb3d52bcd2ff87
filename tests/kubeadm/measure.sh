#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/kubeadm/measure.sh BUILD [RUNS]: the time from `kubeadm init` to a Ready node, ours and upstream's on equal hosts with images and a CNI
# configuration present, and the memory of the four control-plane containers. Each side runs its own kubeadm, kubelet and images; etcd is the same.
# Prints each run, the medians and the ratio; ends with "N passed, N failed": a quarter of upstream's time, 80 MB for ours.
# Needs root, containerd and $KNARR_KIT with bin/ and images/ (exit 77 where there are none).
set -uo pipefail
unset KUBECONFIG
cd "$(dirname "$0")/../.."
BUILD=${1:-build} RUNS=${2:-3} OUT=$(mktemp -d /tmp/knarr-measure.XXXXXX)
export KNARR_KIT=${KNARR_KIT:-/var/cache/knarr-kit/v1.28.4}
KIT=$KNARR_KIT
[ "$(id -u)" = 0 ] && [ -x "$KIT/bin/kubeadm" ] && ls "$KIT"/images/registry.k8s.io_kube-apiserver* > /dev/null 2>&1 || { echo "measure.sh: needs root and $KIT" >&2; exit 77; }
export HOSTS=$OUT/hosts HOSTS_NET=${HOSTS_NET:-172.29.3} HOSTS_BRIDGE=${HOSTS_BRIDGE:-knarrtime} HOSTS_PREFIX=${HOSTS_PREFIX:-time-}
host=tests/lib/host.sh name=master
mkdir -p "$OUT/bin-ours" "$OUT/bin-upstream"
for program in kubeadm kubelet; do
  ln -s "$(realpath "$BUILD/bin/knarr")" "$OUT/bin-ours/$program"
  ln -s "$KIT/bin/$program" "$OUT/bin-upstream/$program"
done
trap '$host down $name > /dev/null 2>&1; ip link del $HOSTS_BRIDGE 2> /dev/null; rm -rf "$OUT"' EXIT
KNARR_ETCD=$KIT/bin/etcd tools/make-images.sh "$BUILD" > /dev/null || exit 1
printf 'runtime-endpoint: unix:///run/containerd/containerd.sock\nimage-endpoint: unix:///run/containerd/containerd.sock\n' > "$OUT/crictl.yaml"
cat > "$OUT/kubeadm.yaml" << 'K'
apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
kubernetesVersion: v1.28.4
networking: {podSubnet: 10.244.0.0/16}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
K
now() { date +%s%N; }
milliseconds() { echo $((($(now) - $1) / 1000000)); }

# Sum of the resident sets of what runs under these names on the host, in MB. Pages of shared files count in each.
resident() { # NAME...
  local p sum=0
  for p in $(ip netns pids "host-$HOSTS_PREFIX$name"); do
    case " $* " in *" $(tr '\0' ' ' < "/proc/$p/cmdline" 2> /dev/null | cut -d' ' -f1) "*) sum=$((sum + $(awk '/^VmRSS/ {print $2}' "/proc/$p/status"))) ;; esac
  done
  echo $((sum / 1024))
}

run() { # WHOSE: sets $took and $memory
  local path=$OUT/bin-$1:$KIT/bin:$PATH start images=$KIT/images
  [ "$1" = upstream ] || images=$BUILD/share/knarr/images-kubeadm
  $host up $name "$HOSTS_NET.10" "$OUT/bin-$1/kubelet"
  printf '{"cniVersion":"0.4.0","name":"pods","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipam":{"type":"host-local","subnet":"10.244.0.0/24"}}]}' \
    > "$HOSTS/$name/root/etc/cni/net.d/10-pods.conflist"
  $host load $name "$images"/registry.k8s.io_{kube-*,etcd*,coredns*,pause_3.9}*.tar
  sync
  sleep 2
  start=$(now)
  $host exec $name env PATH="$path" CRI_CONFIG_FILE="$OUT/crictl.yaml" kubeadm init --config "$OUT/kubeadm.yaml" --ignore-preflight-errors=HTTPProxyCIDR > "$OUT/init" 2>&1 || { cat "$OUT/init"; exit 1; }
  local init=$(milliseconds "$start")
  until $host exec $name env PATH="$path" kubectl --kubeconfig /etc/kubernetes/admin.conf get node -o 'jsonpath={.items[0].status.conditions[?(@.type=="Ready")].status}' | grep -q True; do sleep 0.05; done
  took=$(milliseconds "$start")
  sleep 10
  memory=$(resident kube-apiserver kube-controller-manager kube-scheduler)
  echo "$1: init $init ms, Ready $took ms, $(grep -o 'healthy after .*' "$OUT/init"); API server, controllers and scheduler ${memory} MB, etcd $(resident etcd) MB"
  [ -z "${KEEP:-}" ] || { cp "$HOSTS/$name/kubelet.log" "$KEEP-$1-kubelet.log"; cp "$OUT/init" "$KEEP-$1-init"; }
  $host down $name
}
median() { sort -n | sed -n "$((($RUNS + 1) / 2))p"; }

for i in $(seq "$RUNS"); do
  for whose in ${ONLY:-upstream ours}; do
    run $whose
    echo "$took" >> "$OUT/$whose-times"
    echo "$memory" >> "$OUT/$whose-memory"
  done
done
[ -z "${ONLY:-}" ] || exit 0
