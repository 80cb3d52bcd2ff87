#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/tour/run.sh BUILD [STEPS]: the walk from bare hosts to a cluster with workloads that the README's article describes, as commands on three hosts made
# of name spaces (k8s-master, k8s-node-1, k8s-node-2), with our kubeadm, kubelet and images, the real etcd and containerd, and kubectl.
#
# tests/tour/steps/*.tour are the commands with what each prints (tour.py tells the form); STEPS is a pattern of their numbers, for work on the tour.
# All that is printed is written to docs/tour.md when a whole walk passed, else to $OUT/tour.md. Images come from a registry that stands in for
# registry.aliyuncs.com and docker.io; no other is reached. Needs root, containerd, python3 and $KNARR_KIT (kubectl, crictl, etcd, test images); exits 77
# without. KEEP=1 leaves the hosts for a look, and REUSE=1 goes on with those in $OUT, STOP=1 ends at the first difference. Ends with "N passed, N failed".
set -uo pipefail
unset KUBECONFIG
cd "$(dirname "$0")/../.."
BUILD=$(realpath "${1:-build}") steps=${2:-[0-9]*}
export KNARR_KIT=${KNARR_KIT:-/var/cache/knarr-kit/v1.28.4}
[ "$(id -u)" = 0 ] && [ -x "$KNARR_KIT/bin/crictl" ] || { echo "run.sh: needs root and $KNARR_KIT" >&2; exit 77; }
export OUT=${OUT:-$(mktemp -d /tmp/knarr-tour.XXXXXX)}
mkdir -p "$OUT"
export HOSTS=$OUT/hosts HOSTS_NET=172.27.0 HOSTS_BRIDGE=knarrtour HOSTS_PREFIX=${HOSTS_PREFIX:-t-} HOSTS_DIRS="/root /etc/sysconfig /etc/systemd/system"
export HOST_SH=$PWD/tests/lib/host.sh
# Network and names of network name spaces are the tour's own: its addresses are free whatever runs on this machine, and nothing leads out. $OUT/space
# holds a process that keeps them for REUSE.
if [ -z "${IN_SPACE:-}" ]; then
  if [ -z "${REUSE:-}" ] || ! kill -0 "$(cat "$OUT/space" 2> /dev/null || echo 0)" 2> /dev/null; then
    setsid unshare --net --mount --propagation slave sh -c 'mkdir -p /run/netns; mount -t tmpfs tmpfs /run/netns && ip link set lo up && touch "$OUT/space.up"; exec sleep infinity' > /dev/null 2>&1 &
    echo $! > "$OUT/space"
    until [ -e "$OUT/space.up" ]; do sleep 0.05; done
    rm "$OUT/space.up"
  fi
  IN_SPACE=1 nsenter -t "$(cat "$OUT/space")" --net --mount -- "$PWD/tests/tour/run.sh" "$BUILD" "${@:2}"
  status=$?
  [ -n "${KEEP:-}" ] || kill "$(cat "$OUT/space")"
  exit $status
fi
mirror=registry.aliyuncs.com/google_containers port=5000
hosts="k8s-master k8s-node-1 k8s-node-2"

finish() {
  [ -z "${KEEP:-}" ] || { echo "kept: HOSTS=$HOSTS HOSTS_PREFIX=$HOSTS_PREFIX $HOST_SH exec k8s-master bash"; return; }
  [ ! -f "$OUT/registry.pid" ] || kill "$(cat "$OUT/registry.pid")" 2> /dev/null
  $HOST_SH down > /dev/null 2>&1
  rm -rf "$OUT/hosts" "$OUT/images"
}
trap finish EXIT

# Our images under the names that --image-repository asks for, the tests' images, and flannel's.
make_registry() {
  local image
  rm -rf "$OUT/build"
  mkdir -p "$OUT/build/bin" "$OUT/build/share/knarr"
  ln -s "$BUILD/bin/knarr" "$OUT/build/bin/knarr"
  for image in "$BUILD"/{pause,flannel*}; do [ ! -e "$image" ] || ln -s "$image" "$OUT/build/"; done
  KNARR_ETCD=$KNARR_KIT/bin/etcd tools/make-images.sh "$OUT/build" $mirror > "$OUT/images.log" 2>&1 || { cat "$OUT/images.log"; return 1; }
  archives=("$OUT"/build/share/knarr/images-kubeadm/*.tar)
  archives+=("$OUT/build/share/knarr/images-kubeadm/$(tr '/:' '__' <<< "$mirror/pause:3.9").tar=$mirror/pause:3.6")
  for image in nginx:1.14-4 nginx:1.15-4 busybox:1.29-4 agnhost:2.45; do
    archives+=("$KNARR_KIT/images/registry.k8s.io_e2e-test-images_${image/:/_}.tar=registry.aliyuncs.com/test/$image")
  done
  python3 tests/tour/registry.py "$HOSTS_NET.1:$port" "${archives[@]}" > "$OUT/registry.log" 2>&1 &
  echo $! > "$OUT/registry.pid"
}

# Beside what host.sh makes: the programs, and where containerd finds the registry.
make_host() { # NAME NUMBER
  local root=$HOSTS/$1/root registry name
  $HOST_SH up "$1" "$HOSTS_NET.$2" "$OUT/bin/kubelet" || return 1
  for registry in registry.aliyuncs.com docker.io; do
    mkdir -p "$root/etc/containerd/certs.d/$registry"
    printf '[host."http://%s.1:%s"]\n  capabilities = ["pull", "resolve"]\n' "$HOSTS_NET" $port > "$root/etc/containerd/certs.d/$registry/hosts.toml"
  done
  cp "tests/tour/files/containerd.toml" "$root/etc/containerd/config.toml"
  printf 'runtime-endpoint: unix:///run/containerd/containerd.sock\n' > "$root/root/.crictl.yaml"
  printf 'KUBELET_EXTRA_ARGS=--cgroup-driver=cgroupfs\n' > "$root/etc/sysconfig/kubelet"
  # As on the article's hosts, tc is missing, and the master's kubelet is not enabled yet.
  $HOST_SH exec "$1" mount --bind /dev/null /usr/sbin/tc
  [ "$1" != k8s-master ] || $HOST_SH exec "$1" systemctl disable kubelet 2> /dev/null
  $HOST_SH exec "$1" systemctl restart containerd
  for name in $hosts; do grep -q " $name$" "$HOSTS/$1/hosts" || echo "$(address_of "$name") $name" >> "$HOSTS/$1/hosts"; done
}
address_of() { case $1 in k8s-master) echo "$HOSTS_NET.11" ;; *) echo "$HOSTS_NET.2${1##*-}" ;; esac; }

mkdir -p "$OUT/bin"
for program in kubeadm kubelet knarr; do ln -sf "$BUILD/bin/knarr" "$OUT/bin/$program"; done
for program in kubectl crictl; do ln -sf "$KNARR_KIT/bin/$program" "$OUT/bin/$program"; done
export PATH=$OUT/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin CRI_CONFIG_FILE=/root/.crictl.yaml
if [ -z "${REUSE:-}" ]; then
  $HOST_SH down > /dev/null 2>&1
  for name in $hosts; do make_host "$name" "$(address_of "$name" | cut -d. -f4)" || exit 1; done
  make_registry || exit 1
  cp -r tests/tour/files/. "$HOSTS/k8s-master/root/root/"
fi
# shellcheck disable=SC2086
python3 tests/tour/tour.py "$OUT/tour.md" tests/tour/steps/$steps*.tour
status=$?
if [ $status = 0 ] && [ -z "${2:-}" ]; then cp "$OUT/tour.md" docs/tour.md; fi
exit $status
