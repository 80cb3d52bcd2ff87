#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sandbox.sh NAME COMMAND...: runs a command as root in network, mount, process and host name spaces of its own, so that a test may start
# whole clusters on any port beside others on the machine, and nothing outlives it: when the command ends, the kernel kills what it left.
#
# The command finds $SANDBOX (a directory that goes away with it; KEEP=1 keeps it), $SANDBOX_CGROUP (a cgroup root for its kubelet's pods) and
# an interface with the address 172.20.0.1. Folders that node programs share on a host (/var/log/pods and the like) are its own.
set -euo pipefail
name=$1
shift
[ "$(id -u)" = 0 ] || { echo "sandbox.sh: needs root" >&2; exit 77; }
unshare --net --mount --pid --fork true || { echo "sandbox.sh: may not make name spaces here (a container without privileges?)" >&2; exit 77; }
SANDBOX=$(mktemp -d "/tmp/knarr-$name.XXXXXX")
SANDBOX_CGROUP=/${SANDBOX##*/}
export SANDBOX SANDBOX_CGROUP
if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then hierarchies=(/sys/fs/cgroup); else hierarchies=(/sys/fs/cgroup/*/); fi
finish() {
  for hierarchy in "${hierarchies[@]}"; do
    find "${hierarchy%/}$SANDBOX_CGROUP" -depth -type d -exec rmdir {} + 2> /dev/null || true
  done
  [ -n "${KEEP:-}" ] && echo "kept $SANDBOX" >&2 || rm -rf "$SANDBOX"
}
trap finish EXIT
trap 'exit 130' INT TERM
for hierarchy in "${hierarchies[@]}"; do
  group=${hierarchy%/}$SANDBOX_CGROUP
  mkdir -p "$group"
  # Version 1 starts a group without any CPU; nothing can be put into it then.
  for file in cpuset.cpus cpuset.mems; do
    if [ -f "$hierarchy/$file" ] && [ -f "$group/$file" ] && [ "${#hierarchies[@]}" -gt 1 ]; then cat "$hierarchy/$file" > "$group/$file"; fi
  done
done
unshare --net --mount --uts --ipc --pid --fork --kill-child --propagation slave bash -c '
  set -e
  mount --make-rshared /
  mount -t proc proc /proc
  for folder in /var/log/pods /var/log/containers /run/containerd /run/netns /run/flannel /var/lib/cni; do
    mkdir -p "$folder" "$SANDBOX/own$folder"
    mount --bind "$SANDBOX/own$folder" "$folder"
  done
  hostname knarr-test
  ip link set lo up
  ip link add node0 type bridge
  ip address add 172.20.0.1/24 dev node0
  ip link set node0 up
  ip route add default via 172.20.0.1
  sysctl -qw net.ipv4.ip_forward=1
  "$@"' sandbox "$@" &
child=$!
wait "$child"
