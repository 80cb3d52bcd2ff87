#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two hosts (network name spaces) with our flanneld and CNI plugin: pods of one reach pods of the other, by vxlan and by host-gw.
set -u
source tests/lib/parts.sh
make_pki
start_apiserver knarr
cni=/opt/cni/bin
[ -x "$cni/bridge" ] || cni=/usr/lib/cni
mkdir -p "$SANDBOX/bin"
for plugin in "$cni"/*; do ln -s "$plugin" "$SANDBOX/bin/"; done
ln -s "$KNARR" "$SANDBOX/bin/flannel"
cat > "$SANDBOX/cni.json" << J
{"name": "cbr0", "cniVersion": "1.0.0", "type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}}
J

for i in 1 2; do
  ip netns add host$i
  ip link add out$i type veth peer name eth0 netns host$i
  ip link set out$i master node0 up
  ip -n host$i link set lo up
  ip -n host$i link set eth0 up
  ip -n host$i address add 172.20.0.1$i/24 dev eth0
  ip -n host$i route add default via $HOST
  ip netns exec host$i sysctl -qw net.ipv4.ip_forward=1
  kubectl create -f - > /dev/null << Y
apiVersion: v1
kind: Node
metadata: {name: host$i}
Y
done

# on HOST COMMAND...: in place of this shell, with that host's network, /run/flannel and /var/lib/cni.
on() {
  local host=$1
  shift
  mkdir -p "$SANDBOX/$host/run" "$SANDBOX/$host/cni"
  exec nsenter --net=/run/netns/host"$host" unshare --mount --propagation private bash -c '
    mount --bind "$SANDBOX/$0/run" /run/flannel
    mount --bind "$SANDBOX/$0/cni" /var/lib/cni
    exec "$@"' "$host" "$@"
}
flanneld() { # HOST FLAGS...
  local host=$1
  shift
  start "flanneld$host" on "$host" env NODE_NAME="host$host" "$KNARR" flanneld --kube-subnet-mgr --ip-masq --kubeconfig-file "$PKI/admin.conf" \
    --net-config-path "$SANDBOX/net-conf.json" --iface eth0 "$@"
}
plugin() { # HOST COMMAND POD
  (on "$1" env CNI_COMMAND="$2" CNI_CONTAINERID="$3" CNI_NETNS="/run/netns/$3" CNI_IFNAME=eth0 CNI_PATH="$SANDBOX/bin" "$SANDBOX/bin/flannel" \
    < "$SANDBOX/cni.json" 2> "$SANDBOX/plugin.err")
}
pods() { # ADD|DEL
  for i in 1 2; do
    [ "$1" = DEL ] || ip netns add pod$i
    plugin $i "$1" pod$i > "$SANDBOX/result$i" || { echo "plugin $1 failed:"; cat "$SANDBOX/result$i" "$SANDBOX/plugin.err"; }
    [ "$1" = ADD ] || ip netns delete pod$i
  done
}
address() { ip -n pod"$1" -4 -o address show eth0 | awk '{sub("/.*", "", $4); print $4}'; }
reach() { ip netns exec pod"$1" busybox ping -c1 -W2 "$(address "$2")" > /dev/null && echo yes; }
annotation() { kubectl get node "$1" -o "jsonpath={.metadata.annotations.flannel\\.alpha\\.coreos\\.com/$2}"; }

echo '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}' > "$SANDBOX/net-conf.json"
expect "without a podCIDR it ends" 0 1 bash -c "$(declare -f on); (NODE_NAME=host1 on 1 '$KNARR' flanneld --kube-subnet-mgr --kubeconfig-file $PKI/admin.conf \
  --net-config-path $SANDBOX/net-conf.json --iface eth0 2> $SANDBOX/refused.log); echo \$?"
expect "and says why" 0 1 grep -c 'Error registering network: failed to acquire lease: node "host1" pod cidr not assigned$' "$SANDBOX/refused.log"
for i in 1 2; do kubectl patch node host$i -p "{\"spec\": {\"podCIDR\": \"10.244.$i.0/24\", \"podCIDRs\": [\"10.244.$i.0/24\"]}}" > /dev/null; done

for i in 1 2; do flanneld $i --healthz-port 8285; done
for i in 1 2; do
  expect "host$i: subnet.env" 20 "10.244.$i.1/24" bash -c "sed -n 's/^FLANNEL_SUBNET=//p' $SANDBOX/$i/run/subnet.env"
  expect "host$i: network available" 10 FlannelIsUp get '{.status.conditions[?(@.type=="NetworkUnavailable")].reason}' node host$i
  expect "host$i: its address is announced" 0 172.20.0.1$i annotation host$i public-ip
  expect "host$i: and its device" 0 "{\"VNI\":1,\"VtepMAC\":\"$(ip -n host$i -o link show flannel.1 | sed 's/.*ether \([^ ]*\).*/\1/')\"}" annotation host$i backend-data
done
expect "device's MTU leaves room" 0 1450 bash -c "ip -n host1 -o link show flannel.1 | sed 's/.*mtu \\([0-9]*\\).*/\\1/'"
expect "healthy" 0 "flanneld is running" on 1 curl -s http://127.0.0.1:8285/healthz
expect "masquerade rules" 0 6 bash -c "ip netns exec host1 iptables -t nat -S FLANNEL-POSTRTG | grep -c -- '^-A'"
pods ADD
expect "pod 1 has an address of host 1" 0 yes bash -c "[[ '$(address 1)' == 10.244.1.* ]] && echo yes"
expect "its MTU" 0 1450 bash -c "ip -n pod1 -o link show eth0 | sed 's/.*mtu \\([0-9]*\\).*/\\1/'"
expect "vxlan: pod 1 reaches pod 2" 10 yes reach 1 2
expect "vxlan: pod 2 reaches pod 1" 10 yes reach 2 1
expect "vxlan: host 1 reaches pod 2" 5 yes bash -c "ip netns exec host1 busybox ping -c1 -W2 $(address 2) > /dev/null && echo yes"
ip netns exec host1 iptables -t nat -F FLANNEL-POSTRTG
expect "lost rules come back" 15 6 bash -c "ip netns exec host1 iptables -t nat -S FLANNEL-POSTRTG | grep -c -- '^-A'"
kubectl delete node host2 > /dev/null
expect "a deleted node's route goes" 10 "" ip -n host1 route show 10.244.2.0/24
expect "and its forwarding entry" 0 "" bash -c "bridge -n host1 fdb show dev flannel.1 | grep 172.20.0.12"
kubectl create -f - > /dev/null << Y
apiVersion: v1
kind: Node
metadata: {name: host2}
spec: {podCIDR: 10.244.2.0/24, podCIDRs: [10.244.2.0/24]}
Y
for i in 1 2; do kill "$(pid_of flanneld$i)"; wait "$(pid_of flanneld$i)" 2> /dev/null; done
mac=$(ip -n host2 -o link show flannel.1 | sed 's/.*ether \([^ ]*\).*/\1/')
for i in 1 2; do flanneld $i; done
expect "after a restart pods still reach each other" 20 yes reach 1 2
expect "by the same device" 0 "$mac" bash -c "ip -n host2 -o link show flannel.1 | sed 's/.*ether \\([^ ]*\\).*/\\1/'"
for i in 1 2; do kill "$(pid_of flanneld$i)"; wait "$(pid_of flanneld$i)" 2> /dev/null; ip -n host$i link delete flannel.1; done

echo '{"Network": "10.244.0.0/16", "Backend": {"Type": "host-gw"}}' > "$SANDBOX/net-conf.json"
for i in 1 2; do flanneld $i; done
expect "host-gw: pod 1 reaches pod 2" 20 yes reach 1 2
expect "host-gw: pod 2 reaches pod 1" 10 yes reach 2 1
expect "host-gw: by the node's address" 0 "10.244.2.0/24 via 172.20.0.12 dev eth0" bash -c "ip -n host1 route show 10.244.2.0/24 | sed 's/ *$//'"
ip -n host1 route delete 10.244.2.0/24
expect "host-gw: a lost route comes back" 15 yes reach 1 2
pods DEL
expect "addresses are given back" 0 0 bash -c "ls $SANDBOX/1/cni/networks/cbr0 | grep -c '^10'"
expect "nothing is kept of deleted pods" 0 "" ls "$SANDBOX/1/cni/flannel"
for part in flanneld1 flanneld2 apiserver; do expect "$part still runs" 0 yes bash -c "kill -0 $(pid_of $part) && echo yes"; done
verdict
