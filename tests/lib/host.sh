#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# host.sh up NAME IP [KUBELET] | exec NAME COMMAND... | load NAME ARCHIVE... | down [NAME]: a machine made of name spaces, whole enough for kubeadm.
#
# It has a network, mounts, processes and a host name of its own, with the folders that Kubernetes uses on a host (/etc/kubernetes, /var/lib/kubelet ...),
# a cgroup root /host-NAME, a containerd at the usual socket (no images, no CNI configuration), and in place of systemd a `systemctl` that
# knows the services kubelet and containerd. Its first process takes all others with it, so that `down` ends what is the host's and nothing else. KUBELET is the program that the kubelet service starts, with the drop-in file of kubeadm's package.
# Hosts see each other on 172.29.0.0/24; 172.29.0.1 is this machine, and there is no way out. State in $HOSTS. Needs root; exits 77 where it may not.
# $HOSTS_DIRS are further folders that each host has of its own; KUBELET_EXTRA_ARGS are read from /etc/sysconfig/kubelet, which should be among them.
# $HOSTS_PREFIX goes before NAME wherever the machine's own names are used, so that two sets may have hosts of the same name.
set -euo pipefail
HOSTS=${HOSTS:-/tmp/knarr-hosts} PREFIX=${HOSTS_PREFIX:-}
NET=${HOSTS_NET:-172.29.0} BRIDGE=${HOSTS_BRIDGE:-knarrhosts}
state_dirs="/etc/kubernetes /var/lib/kubelet /var/lib/etcd /var/lib/containerd /run/containerd /var/lib/cni /run/flannel /run/netns
  /var/log/pods /var/log/containers /etc/cni /opt/cni /etc/containerd /usr/libexec/kubernetes ${HOSTS_DIRS:-}"

inside() {
  local holder
  holder=$(cat "$HOSTS/$1/holder")
  shift
  nsenter -t "$holder" -m -u -n -p -- "$@"
}

# What systemctl of a real host does for the two services, with the exit codes and the words that kubeadm reads.
write_systemctl() { # DIR NAME KUBELET
  cat > "$1/kubelet.sh" << S
#!/bin/bash
# As the unit of kubeadm's package: started again whenever it ends.
while :; do
  KUBELET_KUBEADM_ARGS= KUBELET_EXTRA_ARGS=
  for f in /var/lib/kubelet/kubeadm-flags.env /etc/sysconfig/kubelet; do [ ! -f \$f ] || . \$f; done
  $3 --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml \\
    \$KUBELET_KUBEADM_ARGS --cgroup-root=/host-$PREFIX$2 --fail-swap-on=false \$KUBELET_EXTRA_ARGS &
  child=\$!
  trap 'kill \$child; wait \$child; exit' TERM
  wait \$child
  sleep 1
done
S
  cat > "$1/systemctl" << S
#!/bin/bash
dir=$1
alive() { [ -f \$dir/\$1.pid ] && kill -0 "\$(cat \$dir/\$1.pid)" 2> /dev/null; }
stop() { ! alive \$1 || { p=\$(cat \$dir/\$1.pid); kill \$p; while kill -0 \$p 2> /dev/null; do sleep 0.05; done; }; }
start() { alive \$1 || { setsid nohup bash \$dir/\$1.sh >> \$dir/\$1.log 2>&1 & echo \$! > \$dir/\$1.pid; }; }
args=(); for a in "\$@"; do [[ \$a = -* ]] || args+=("\$a"); done
set -- "\${args[@]}"
service=\${2%.service}
case "\$1 \$service" in
"daemon-reload "*) ;;
"is-enabled kubelet" | "is-enabled containerd") if [ -f \$dir/\$service.disabled ]; then echo disabled; exit 1; else echo enabled; fi ;;
"disable kubelet" | "disable containerd") touch \$dir/\$service.disabled; echo "Removed /etc/systemd/system/multi-user.target.wants/\$service.service." >&2 ;;
"enable kubelet" | "enable containerd")
  [ ! -f \$dir/\$service.disabled ] || echo "Created symlink /etc/systemd/system/multi-user.target.wants/\$service.service → /lib/systemd/system/\$service.service." >&2
  rm -f \$dir/\$service.disabled ;;
"status kubelet" | "status containerd")
  echo "   Loaded: loaded"; if alive \$service; then echo "   Active: active (running)"; else echo "   Active: inactive (dead)"; exit 3; fi ;;
"is-active kubelet" | "is-active containerd") if alive \$service; then echo active; else echo inactive; exit 3; fi ;;
"start kubelet" | "start containerd") start \$service ;;
"stop kubelet" | "stop containerd") stop \$service ;;
"restart kubelet" | "restart containerd") stop \$service; start \$service ;;
"stop "*) echo "Failed to stop \$service.service: Unit \$service.service not loaded." >&2; exit 5 ;;
*) echo "Unit \$service.service could not be found."; exit 4 ;;
esac
S
  chmod 755 "$1/systemctl"
  echo 'exec containerd' > "$1/containerd.sh"
}

up() {
  local name=$1 ip=$2 kubelet=${3:-kubelet} dir=$HOSTS/$1 ns=host-$PREFIX$1 holder c f
  mkdir -p "$dir"
  ip link show "$BRIDGE" > /dev/null 2>&1 || {
    [ -z "$(ip -4 -o addr show to "$NET.1")" ] || { echo "host.sh: $NET.0/24 is in use on this machine; set HOSTS_NET" >&2; exit 1; }
    ip link add "$BRIDGE" type bridge || exit 77
    ip addr add "$NET.1/24" dev "$BRIDGE"
    ip link set "$BRIDGE" up
    sysctl -qw net.ipv4.ip_forward=1
  }
  ip netns add "$ns"
  ip link add "h-$PREFIX$name" type veth peer name eth0 netns "$ns"
  ip link set "h-$PREFIX$name" master "$BRIDGE" up
  ip -n "$ns" addr add "$ip/24" dev eth0
  ip -n "$ns" link set eth0 up
  ip -n "$ns" link set lo up
  # Nobody is there: what leaves for a Service before there are rules for it must not meet those of another cluster on this machine.
  ip -n "$ns" route add default via "$NET.254"
  nsenter --net=/run/netns/"$ns" sysctl -qw net.ipv4.ip_forward=1
  for c in /sys/fs/cgroup/*/; do mkdir -p "$c/host-$PREFIX$name"; done
  [ ! -d /sys/fs/cgroup/cpuset ] || for f in cpus mems; do
    cat "/sys/fs/cgroup/cpuset/cpuset.$f" > "/sys/fs/cgroup/cpuset/host-$PREFIX$name/cpuset.$f"
  done
  printf '127.0.0.1 localhost\n%s %s\n' "$ip" "$name" > "$dir/hosts"
  echo "$name" > "$dir/hostname"
  # No loopback address: a DNS server in a pod would forward to itself.
  echo "nameserver $NET.1" > "$dir/resolv.conf"
  write_systemctl "$dir" "$name" "$kubelet"
  cat > "$dir/mounts.sh" << M
set -e
mount -t proc proc /proc
# Copies of what others have mounted (pods' networks, containers' roots) would keep those alive as long as this host.
awk '\$5 ~ "^/run/netns/" || / - overlay / {print \$5}' /proc/self/mountinfo | sort -r | while read -r p; do umount -l "\$p" 2> /dev/null || true; done
mount --make-rshared /
for p in $(echo $state_dirs); do
  mkdir -p \$p $dir/root\$p
  mount --bind $dir/root\$p \$p
done
mkdir -p /opt/cni/bin /etc/cni/net.d
cp -a /usr/lib/cni/. /opt/cni/bin/
for f in hosts hostname resolv.conf; do
  touch /etc/\$f
  mount --bind $dir/\$f /etc/\$f
done
[ ! -e /usr/bin/systemctl ] || mount --bind $dir/systemctl /usr/bin/systemctl
hostname $name
touch $dir/up
# The first process of the host is the parent of orphans; bash looks after them.
sleep infinity & wait
M
  setsid nohup nsenter --net=/run/netns/"$ns" unshare --uts --mount --propagation slave --pid --fork --kill-child bash "$dir/mounts.sh" > "$dir/holder.log" 2>&1 &
  holder=$!
  until [ -f "$dir/up" ]; do
    sleep 0.1
    kill -0 $holder || { cat "$dir/holder.log"; exit 1; }
  done
  pgrep -P $holder > "$dir/holder"
  cat > "$dir/root/etc/containerd/config.toml" << C
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "registry.k8s.io/pause:3.9"
  stream_server_address = "127.0.0.1"
C
  inside "$name" "$dir/systemctl" start containerd
  until inside "$name" test -S /run/containerd/containerd.sock; do sleep 0.1; done
}

down() {
  local dir=$1 name c f p
  name=$(basename "$dir")
  [ -d "$dir" ] || return 0
  # The number may be another process by now: it has to be in the host's network.
  p=$(cat "$dir/holder" 2> /dev/null || echo 0)
  [ ! -e "/proc/$p/ns/net" ] || [ "$(stat -Lc %i "/proc/$p/ns/net")" != "$(stat -Lc %i "/run/netns/host-$PREFIX$name" 2> /dev/null)" ] || kill -9 "$p"
  for c in $(seq 100); do [ -e "/proc/$p" ] || break; sleep 0.05; done
  for f in /sys/fs/cgroup/*/host-"$PREFIX$name"; do find "$f" -depth -type d -exec rmdir {} + 2> /dev/null || true; done
  ip netns del "host-$PREFIX$name" 2> /dev/null || true
  # Mounts of what was just killed go a moment later.
  for p in 1 2 3 4 5 6; do rm -rf "$dir" 2> /dev/null && return 0; sleep 1; done
  rm -rf "$dir"
}

case ${1:-} in
up) shift; up "$@" ;;
exec) shift; inside "$@" ;;
load)
  name=$2
  shift 2
  for archive in "$@"; do inside "$name" ctr -n k8s.io images import "$(realpath "$archive")" > /dev/null; done ;;
down)
  for dir in "$HOSTS"/${2:-*}/; do down "${dir%/}"; done
  [ -n "${2:-}" ] || ip link del "$BRIDGE" 2> /dev/null || true ;;
*) sed -n 3,8p "$0"; exit 2 ;;
esac
