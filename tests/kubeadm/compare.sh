#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/kubeadm/compare.sh BUILD [OUT]: `kubeadm init` of ours and of upstream on equal hosts, one after the other: what it prints, the files it
# makes, certificates (subject, names, usages, life), manifests, and the objects of the cluster are compared. Differences are printed; those that
# tests/kubeadm/differences.txt lists with a reason do not count. Ends with "N compared, N differ". Upstream's kubelet and images serve both.
# Needs root, containerd, openssl and $KNARR_KIT with bin/ and images/ (exit 77 where there are none).
set -uo pipefail
unset KUBECONFIG
cd "$(dirname "$0")/../.."
BUILD=${1:-build} OUT=${2:-$(mktemp -d /tmp/knarr-compare.XXXXXX)}
KIT=${KNARR_KIT:-/var/cache/knarr-kit/v1.28.4}
[ "$(id -u)" = 0 ] && [ -x "$KIT/bin/kubeadm" ] && ls "$KIT"/images/registry.k8s.io_kube-apiserver* > /dev/null 2>&1 || { echo "compare.sh: needs root and $KIT" >&2; exit 77; }
KNARR=$(realpath "$BUILD/bin/knarr")
export HOSTS=$OUT/hosts HOSTS_NET=${HOSTS_NET:-172.29.1} HOSTS_BRIDGE=${HOSTS_BRIDGE:-knarrcmp}
export PATH=$KIT/bin:$PATH
host=tests/lib/host.sh name=k8s-master ip=$HOSTS_NET.10
normalize() { python3 tests/kubeadm/normalize.py "$1"; }
mkdir -p "$OUT/bin-ours" "$OUT/bin-upstream"
# crictl that finds a configuration, or it warns where upstream's kubeadm expects an answer.
printf 'runtime-endpoint: unix:///run/containerd/containerd.sock\nimage-endpoint: unix:///run/containerd/containerd.sock\n' > "$OUT/crictl.yaml"
export CRI_CONFIG_FILE=$OUT/crictl.yaml
ln -sf "$KNARR" "$OUT/bin-ours/kubeadm"
ln -sf "$KIT/bin/kubeadm" "$OUT/bin-upstream/kubeadm"

cat > "$OUT/kubeadm.yaml" << 'K'
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
bootstrapTokens:
- token: abcdef.0123456789abcdef
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
kubernetesVersion: v1.28.4
networking:
  podSubnet: 10.244.0.0/16
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
K

# Runs a command of one kubeadm on the host; what it prints and its exit code go to a file.
say() { # WHOSE FILE COMMAND...
  local dir=$OUT/$1 file=$2 code=0
  local path=$OUT/bin-$1:$PATH
  shift 2
  $host exec $name env PATH="$path" "$@" > "$dir/raw" 2> "$dir/raw-err" || code=$?
  { normalize text < "$dir/raw"; echo "--- stderr"; normalize text < "$dir/raw-err"; echo "--- exit $code"; } > "$dir/$file"
  rm -f "$dir/raw" "$dir/raw-err"
}
objects() { $host exec $name env KUBECONFIG=/etc/kubernetes/admin.conf kubectl get "$@" -o json | normalize objects; }

files() { # WHOSE
  local dir=$OUT/$1 root=$HOSTS/$name/root f
  (cd "$root" && find etc/kubernetes var/lib/kubelet/config.yaml var/lib/kubelet/kubeadm-flags.env -printf '%m %u %y %p\n' | sort -k4) > "$dir/files"
  for f in $(cd "$root/etc/kubernetes/pki" && find . -name '*.crt' | sort); do echo "== $f"; normalize certificate < "$root/etc/kubernetes/pki/$f"; done > "$dir/certificates"
  for f in $(cd "$root/etc/kubernetes/pki" && find . -name '*.key' -o -name '*.pub' | sort); do echo "$f $(head -1 "$root/etc/kubernetes/pki/$f")"; done > "$dir/keys"
  for f in admin controller-manager scheduler kubelet; do echo "== $f.conf"; normalize kubeconfig < "$root/etc/kubernetes/$f.conf"; done > "$dir/kubeconfigs"
  for f in etcd kube-apiserver kube-controller-manager kube-scheduler; do cp "$root/etc/kubernetes/manifests/$f.yaml" "$dir/manifest-$f"; done
  cp "$root/var/lib/kubelet/config.yaml" "$dir/kubelet-config"
  cp "$root/var/lib/kubelet/kubeadm-flags.env" "$dir/kubelet-flags"
}

run() { # WHOSE
  local whose=$1
  mkdir -p "$OUT/$whose"
  $host up $name "$ip" "$KIT/bin/kubelet"
  $host load $name "$KIT"/images/registry.k8s.io_{kube-*,etcd*,coredns*,pause_3.9}*.tar
  cp "$OUT/kubeadm.yaml" "$HOSTS/$name/root/etc/kubernetes/../kubeadm.yaml" 2> /dev/null
  say "$whose" dry-run kubeadm init --config "$OUT/kubeadm.yaml" --dry-run --ignore-preflight-errors=HTTPProxyCIDR
  rm -rf "$HOSTS/$name/root/etc/kubernetes/tmp"
  local start=$(date +%s%N)
  say "$whose" init kubeadm init --config "$OUT/kubeadm.yaml" --ignore-preflight-errors=HTTPProxyCIDR
  echo "$whose: init took $((($(date +%s%N) - start) / 1000000)) ms"
  files "$whose"
  # What others add of their own accord: the signature of cluster-info, the revision of workloads.
  for i in $(seq 60); do
    $host exec $name env KUBECONFIG=/etc/kubernetes/admin.conf kubectl -n kube-public get cm cluster-info -o yaml | grep -q jws-kubeconfig && break
    sleep 0.5
  done
  objects -n kube-system cm,secrets,roles,rolebindings,sa,svc,deploy,ds | python3 -c '
import sys, re
print("\n".join(part for part in re.split(r"(?m)(?<=^\})\n", sys.stdin.read()) if re.search(r"kubeadm|coredns|kube-dns|kube-proxy|kubelet-config|bootstrap-token|cluster-info", part)))' > "$OUT/$whose/objects-system"
  objects -n kube-public cm,roles,rolebindings | grep -v '^$' > "$OUT/$whose/objects-public"
  objects clusterroles,clusterrolebindings -l '!kubernetes.io/bootstrapping' > "$OUT/$whose/objects-cluster"
  objects nodes > "$OUT/$whose/objects-node"
  say "$whose" again kubeadm init --kubernetes-version v1.28.4 --ignore-preflight-errors=HTTPProxyCIDR
  say "$whose" token-list kubeadm token list
  say "$whose" token-list-json kubeadm token list -o json
  say "$whose" token-create kubeadm token create --print-join-command
  say "$whose" token-bad kubeadm token create foo
  say "$whose" token-delete kubeadm token delete abcdex
  say "$whose" expiration kubeadm certs check-expiration
  say "$whose" renew kubeadm certs renew all
  files "$whose"
  say "$whose" init-defaults kubeadm config print init-defaults --component-configs KubeletConfiguration,KubeProxyConfiguration
  say "$whose" join-defaults kubeadm config print join-defaults
  say "$whose" images kubeadm config images list --kubernetes-version v1.28.4
  say "$whose" validate kubeadm config validate --config "$OUT/kubeadm.yaml"
  say "$whose" migrate kubeadm config migrate --old-config "$OUT/kubeadm.yaml"
  say "$whose" bad-flag kubeadm init --foo
  say "$whose" bad-command kubeadm foo
  say "$whose" bad-subnet kubeadm init --kubernetes-version v1.28.4 --pod-network-cidr 10.0.0.0/30
  say "$whose" upload-certs kubeadm init phase upload-certs --upload-certs --config "$OUT/kubeadm.yaml"
  for page in "" init join reset token "token create" certs "certs renew" config "init phase" "init phase certs" "init phase certs ca" "init phase kubeconfig admin" "token list" \
    "init phase addon" "reset phase" version; do
    say "$whose" "help-${page// /-}" kubeadm $page --help
  done
  say "$whose" reset kubeadm reset -f
  (cd "$HOSTS/$name/root" && find etc/kubernetes var/lib/kubelet var/lib/etcd | sort) > "$OUT/$whose/files-after-reset"
  $host down $name
}

trap '$host down $name > /dev/null 2>&1; ip link del $HOSTS_BRIDGE 2> /dev/null' EXIT
for whose in ${ONLY:-upstream ours}; do run $whose; done
compared=0 differ=0
for file in "$OUT"/upstream/*; do
  file=$(basename "$file")
  compared=$((compared + 1))
  diff -u "$OUT/upstream/$file" "$OUT/ours/$file" > "$OUT/diff" && continue
  if reason=$(grep -E "^$file: " tests/kubeadm/differences.txt); then
    echo "expected: $reason"
    continue
  fi
  differ=$((differ + 1))
  echo "==== $file"
  cat "$OUT/diff"
done
echo "$compared compared, $differ differ"
[ $differ = 0 ]
