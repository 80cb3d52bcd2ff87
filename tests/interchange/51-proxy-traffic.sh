#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Connections through the rules that our kube-proxy writes, with iptables and with nftables: who answers, and whom they see.
set -u
source tests/lib/parts.sh
make_pki
certificate proxy /CN=system:kube-proxy
kubeconfig proxy
start_apiserver knarr
kubectl create -f - > /dev/null << 'Y'
apiVersion: v1
kind: Node
metadata: {name: n1}
Y

# An answer is who answers and whom it sees.
cat > "$SANDBOX/server.py" << 'P'
import socket, sys, threading
name = sys.argv[1]
def tcp():
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("0.0.0.0", 8080)); s.listen(64)
    while True:
        c, peer = s.accept(); c.sendall(f"{name} {peer[0]}\n".encode()); c.close()
def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 5353))
    while True:
        _, peer = s.recvfrom(100); s.sendto(f"{name} {peer[0]}\n".encode(), peer)
threading.Thread(target=tcp, daemon=True).start()
udp()
P
cat > "$SANDBOX/ask.py" << 'P'
import socket, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(1.5)
if len(sys.argv) > 4: s.bind(("0.0.0.0", int(sys.argv[4])))
try:
    s.connect((host, port))
    if kind == "udp": s.send(b"x")
    print(s.recv(100).decode().strip() or "closed")
except ConnectionRefusedError: print("refused")
except OSError as e: print("nothing" if isinstance(e, TimeoutError) else e)
P
PYTHON=$(command -v python3)
ask() { ip netns exec "$1" "$PYTHON" "$SANDBOX/ask.py" "${@:2}"; }   # FROM tcp|udp ADDRESS PORT [OWN-PORT]
who() { ask "$@" | cut -d' ' -f1; }
many() { for _ in $(seq 24); do who "$@"; done | sort -u | xargs; }

# The node has a bridge with three pods; outside of it stands a client.
node_with_pods() { # NODE NODE-ADDRESS
  ip netns add "$1"
  ip link add "to-$1" type veth peer name eth0 netns "$1"
  ip link set "to-$1" master node0 up
  ip -n "$1" link set lo up
  ip -n "$1" address add "$2/24" dev eth0
  ip -n "$1" link set eth0 up
  ip -n "$1" route add default via $HOST
  ip -n "$1" link add cni0 type bridge
  ip -n "$1" address add 10.244.0.1/24 dev cni0
  ip -n "$1" link set cni0 up
  ip netns exec "$1" sysctl -qw net.ipv4.ip_forward=1
  for number in 2 3 4; do
    local pod=$1-pod$number
    ip netns add "$pod"
    ip -n "$1" link add "v$number" type veth peer name eth0 netns "$pod"
    ip -n "$1" link set "v$number" master cni0 up
    ip -n "$1" link set "v$number" type bridge_slave hairpin on
    ip -n "$pod" link set lo up
    ip -n "$pod" address add "10.244.0.$number/24" dev eth0
    ip -n "$pod" link set eth0 up
    ip -n "$pod" route add default via 10.244.0.1
    start "$pod" ip netns exec "$pod" "$PYTHON" "$SANDBOX/server.py" "pod$number"
  done
}
ip netns add client
ip link add to-client type veth peer name eth0 netns client
ip link set to-client master node0 up
ip -n client link set lo up
ip -n client address add 172.20.0.50/24 dev eth0
ip -n client link set eth0 up

slice() { # SERVICE PORT-NAME PROTOCOL PORT ADDRESSES...
  local list="" ip
  for ip in "${@:5}"; do list+="- {addresses: [$ip], nodeName: $([[ $ip == 10.244.0.* ]] && echo n1 || echo n2)}"$'\n'; done
  kubectl apply -f - > /dev/null << Y
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: $1-1, labels: {kubernetes.io/service-name: $1}}
addressType: IPv4
ports: [{name: "$2", protocol: $3, port: $4}]
endpoints:
${list:-[]}
Y
}
service() { # NAME SPEC
  kubectl apply -f - > /dev/null << Y
apiVersion: v1
kind: Service
metadata: {name: $1}
spec: $2
Y
}

traffic() { # MODE NODE NODE-ADDRESS
  local mode=$1 node=$2 address=$3
  node_with_pods "$node" "$address"
  service web '{clusterIP: 10.96.1.1, type: NodePort, ports: [{port: 80, nodePort: 30080}]}'
  slice web "" TCP 8080 10.244.0.2 10.244.0.3
  service none '{clusterIP: 10.96.1.2, type: NodePort, ports: [{port: 80, nodePort: 30081}]}'
  service sticky '{clusterIP: 10.96.1.3, sessionAffinity: ClientIP, ports: [{port: 80}]}'
  slice sticky "" TCP 8080 10.244.0.2 10.244.0.3 10.244.0.4
  service local '{clusterIP: 10.96.1.4, type: NodePort, externalTrafficPolicy: Local, ports: [{port: 80, nodePort: 30084}]}'
  slice local "" TCP 8080 10.244.0.4
  service far '{clusterIP: 10.96.1.5, type: NodePort, externalTrafficPolicy: Local, ports: [{port: 80, nodePort: 30085}]}'
  slice far "" TCP 8080 10.244.9.9
  service self '{clusterIP: 10.96.1.6, ports: [{port: 80}]}'
  slice self "" TCP 8080 10.244.0.2
  service dns '{clusterIP: 10.96.1.7, ports: [{port: 53, protocol: UDP}]}'
  slice dns "" UDP 5353 10.244.0.2
  service guarded '{clusterIP: 10.96.1.8, type: LoadBalancer, loadBalancerSourceRanges: [172.20.0.50/32], ports: [{port: 80}]}'
  kubectl patch service guarded --subresource=status --type=merge -p '{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}}' > /dev/null
  slice guarded "" TCP 8080 10.244.0.2
  service outer '{clusterIP: 10.96.1.9, externalIPs: [192.0.2.2], ports: [{port: 80}]}'
  slice outer "" TCP 8080 10.244.0.3
  start "proxy-$mode" ip netns exec "$node" "$KNARR" kube-proxy --kubeconfig "$PKI/proxy.conf" --hostname-override n1 --cluster-cidr 10.244.0.0/16 \
    --proxy-mode "$mode" --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0s --conntrack-tcp-timeout-close-wait 0s
  ip -n client route replace default via "$address"
  local pod=$node-pod4
  expect "$mode: cluster IP from a pod" 30 "pod2 pod3" many "$pod" tcp 10.96.1.1 80
  expect "$mode: which sees the pod itself" 5 10.244.0.4 bash -c "ip netns exec $pod $PYTHON $SANDBOX/ask.py tcp 10.96.1.6 80 | cut -d' ' -f2"
  expect "$mode: cluster IP from the node" 5 "pod2 pod3" many "$node" tcp 10.96.1.1 80
  expect "$mode: cluster IP from outside, masqueraded" 5 "pod2 10.244.0.1" ask client tcp 10.96.1.6 80
  expect "$mode: node port from outside" 5 "pod2 pod3" many client tcp "$address" 30080
  expect "$mode: node port from a pod" 5 "pod2 pod3" many "$pod" tcp "$address" 30080
  [ "$mode" = iptables ] && expect "$mode: node port on localhost" 5 "pod2 pod3" many "$node" tcp 127.0.0.1 30080
  expect "$mode: no endpoints, cluster IP" 5 refused ask "$pod" tcp 10.96.1.2 80
  expect "$mode: no endpoints, node port" 5 refused ask client tcp "$address" 30081
  expect "$mode: affinity" 5 1 bash -c "for i in \$(seq 12); do ip netns exec $pod $PYTHON $SANDBOX/ask.py tcp 10.96.1.3 80; done | sort -u | wc -l"
  expect "$mode: policy Local keeps the client's address" 5 "pod4 172.20.0.50" ask client tcp "$address" 30084
  expect "$mode: policy Local without local endpoints drops" 5 nothing ask client tcp "$address" 30085
  expect "$mode: a pod reaches itself" 5 pod2 who "$node-pod2" tcp 10.96.1.6 80
  expect "$mode: load balancer from its range" 5 pod2 who client tcp 192.0.2.1 80
  expect "$mode: load balancer from elsewhere" 5 nothing ask "$pod" tcp 192.0.2.1 80
  expect "$mode: external IP" 5 pod3 who client tcp 192.0.2.2 80
  # The same source port each time: without forgetting, packets would go on to the endpoint that has left.
  expect "$mode: UDP" 5 pod2 who "$pod" udp 10.96.1.7 53 40000
  slice dns "" UDP 5353 10.244.0.3
  expect "$mode: UDP follows the endpoints" 10 pod3 who "$pod" udp 10.96.1.7 53 40000
  slice web "" TCP 8080 10.244.0.4
  expect "$mode: endpoints change" 10 pod4 many "$node-pod2" tcp 10.96.1.1 80
  kubectl delete service web > /dev/null
  if [ "$mode" = iptables ]; then
    expect "$mode: nothing refers to a deleted service" 10 0 bash -c "ip netns exec $node iptables-save | grep -c default/web"
  else
    expect "$mode: nothing refers to a deleted service" 10 0 bash -c "ip netns exec $node nft list ruleset 2> /dev/null | grep -c default/web"
    expect "$mode: a port that no service has" 5 refused ask "$pod" tcp 10.96.1.6 81
    ip netns exec "$node" nft flush ruleset
    expect "$mode: flushed rules come back" 40 pod2 who "$pod" tcp 10.96.1.6 80
  fi
  kill "$(pid_of "proxy-$mode")"
  ip netns exec "$node" "$KNARR" kube-proxy --cleanup
  expect "$mode: --cleanup" 5 0 bash -c "ip netns exec $node nft list ruleset 2> /dev/null | grep -cE 'KUBE-(SVC|SEP|SERVICES)|kube-proxy'"
  kubectl delete services,endpointslices --all > /dev/null
}
traffic iptables node-i 172.20.0.11
traffic nftables node-n 172.20.0.12
verdict
