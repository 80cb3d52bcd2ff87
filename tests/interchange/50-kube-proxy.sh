#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Upstream's kube-proxy and ours, each in a network of its own, write the same rules for the same services.
set -u
source tests/lib/parts.sh
make_pki
certificate proxy /CN=system:kube-proxy
kubeconfig proxy
# APISERVER=upstream: the same against upstream's API server.
if [ "${APISERVER:-knarr}" = upstream ]; then start_etcd; fi
start_apiserver "${APISERVER:-knarr}"

# host NAME ADDRESS: a network name space on the sandbox's bridge.
host() {
  ip netns add "$1"
  ip link add "to-$1" type veth peer name eth0 netns "$1"
  ip link set "to-$1" master node0 up
  ip -n "$1" link set lo up
  ip -n "$1" address add "$2/24" dev eth0
  ip -n "$1" link set eth0 up
  ip -n "$1" route add default via $HOST
}
host theirs 172.20.0.2
host ours 172.20.0.3
kubectl create -f - > /dev/null << 'Y'
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/zone: east}}
Y
kubectl patch node n1 --subresource=status -p '{"status":{"addresses":[{"type":"InternalIP","address":"172.20.0.9"}]}}' > /dev/null
cat > "$SANDBOX/proxy.yaml" << K
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $PKI/proxy.conf}
hostnameOverride: n1
clusterCIDR: 10.244.0.0/16
mode: iptables
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {syncPeriod: 5s, minSyncPeriod: 200ms}
K
cp "$SANDBOX/proxy.yaml" "$SANDBOX/ours.yaml"
start theirs ip netns exec theirs "$UPSTREAM/kube-proxy" --config "$SANDBOX/proxy.yaml"
start ours ip netns exec ours "$KNARR" kube-proxy --config "$SANDBOX/ours.yaml"

SHARED='^-A KUBE-(SERVICES|EXTERNAL-SERVICES|NODEPORTS|PROXY-FIREWALL) '
# Chains, the rules of each chain in their order, and the rules of chains that services share without it: upstream writes those as a map has them.
rules() { # NAME [6]
  local saved
  saved=$(ip netns exec "$1" "ip${2:-}tables-save" | grep -v '^#' | sed 's/ \[[0-9]*:[0-9]*\]$//')
  grep '^:' <<< "$saved" | sort
  grep -E '^-A' <<< "$saved" | grep -vE "$SHARED" | sort -s -k2,2
  grep -E "$SHARED" <<< "$saved" | sort
  # That one has to be last.
  grep -E '^-A KUBE-SERVICES' <<< "$saved" | tail -1
}
# same [!] TEXT: both have (or have not) a rule with that text, and are alike.
same() {
  local wanted=0 text=$1 who
  if [ "$1" = ! ]; then wanted=1 text=$2; fi
  for who in theirs ours; do
    rules $who | grep -qF -- "$text"
    [ $? = $wanted ] || { echo "$who: not yet"; return; }
  done
  diff <(rules theirs) <(rules ours) > "$SANDBOX/difference" && diff <(rules theirs 6) <(rules ours 6) >> "$SANDBOX/difference" && echo same && return
  head -12 "$SANDBOX/difference"
}
expect "without services but for kubernetes" 30 same same default/kubernetes:https

slice() { # NAME SERVICE PORT-NAME PROTOCOL PORT ENDPOINTS: ADDRESS[:node[:flags]]..., flags r(eady) s(erving) t(erminating) or zone=NAME
  local name=$1 service=$2 port_name=$3 protocol=$4 port=$5 list=""
  shift 5
  for endpoint in "$@"; do
    IFS=: read -r address node flags <<< "$endpoint"
    local ready=true serving=true terminating=false hints=""
    case ${flags:-} in
      n) ready=false serving=false ;;
      t) ready=false terminating=true ;;
      zone=*) hints=", hints: {forZones: [{name: ${flags#zone=}}]}" ;;
    esac
    list+="- {addresses: [\"$address\"], conditions: {ready: $ready, serving: $serving, terminating: $terminating}${node:+, nodeName: $node}$hints}"$'\n'
  done
  kubectl apply -f - > /dev/null << Y
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: $name, labels: {kubernetes.io/service-name: $service}}
addressType: IPv4
ports: [{name: "$port_name", protocol: $protocol, port: $port}]
endpoints:
${list:-[]}
Y
}
service() { # NAME SPEC
  kubectl apply -f - > /dev/null << Y
apiVersion: v1
kind: Service
metadata: {name: $1${3:+, annotations: {$3\}}}
spec: $2
Y
}
ingress() { kubectl patch service "$1" --subresource=status --type=merge -p "{\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"$2\"}]}}}" > /dev/null; }

service plain '{clusterIP: 10.96.1.1, ports: [{port: 80, targetPort: 8080}]}'
expect "a service without endpoints is refused" 20 same same '"default/plain has no endpoints"'
slice plain-1 plain "" TCP 8080 10.244.0.2:n1
expect "one endpoint" 20 same same "--to-destination 10.244.0.2:8080"
slice plain-1 plain "" TCP 8080 10.244.0.2:n1 10.244.1.2:n2 10.244.2.2:n3
expect "three share by chance" 20 same same "--probability 0.33333333349"
slice plain-2 plain "" TCP 8080 10.244.0.2:n1 10.244.3.2:n4
expect "an endpoint in two slices" 20 same same "--to-destination 10.244.3.2:8080"
slice plain-1 plain "" TCP 8080 10.244.1.2:n2:n 10.244.2.2:n3:t
expect "unready and ending endpoints" 20 same same ! "--to-destination 10.244.1.2:8080"
service two '{clusterIP: 10.96.1.2, type: NodePort, ports: [{name: a, port: 80, nodePort: 30080}, {name: b, port: 53, protocol: UDP, nodePort: 30053}]}'
expect "node ports without endpoints" 20 same same '"default/two:b has no endpoints"'
slice two-a two a TCP 8080 10.244.0.3:n1 10.244.1.3:n2
slice two-b two b UDP 5353 10.244.0.3:n1
expect "node ports, TCP and UDP" 20 same same "--to-destination 10.244.0.3:5353"
service sticky '{clusterIP: 10.96.1.3, sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 77}}, ports: [{name: w, port: 80}]}'
slice sticky-1 sticky w TCP 8080 10.244.0.4:n1 10.244.1.4:n2
expect "affinity" 20 same same "--rcheck --seconds 77 --reap"
service local '{clusterIP: 10.96.1.4, type: NodePort, externalTrafficPolicy: Local, ports: [{port: 80, nodePort: 30081}]}'
slice local-1 local "" TCP 8080 10.244.1.5:n2
expect "external policy Local, none here" 20 same same '"default/local has no local endpoints"'
slice local-1 local "" TCP 8080 10.244.1.5:n2 10.244.0.5:n1
expect "external policy Local, one here" 20 same same "route LOCAL traffic for default/local external destinations"
slice local-1 local "" TCP 8080 10.244.1.5:n2 10.244.0.5:n1:t
expect "external policy Local, the one here ends" 20 same same "--to-destination 10.244.0.5:8080"
service inner '{clusterIP: 10.96.1.5, internalTrafficPolicy: Local, ports: [{port: 80}]}'
slice inner-1 inner "" TCP 8080 10.244.1.6:n2
expect "internal policy Local, none here" 20 same same '"default/inner has no local endpoints"'
slice inner-1 inner "" TCP 8080 10.244.1.6:n2 10.244.0.6:n1
expect "internal policy Local, one here" 20 same same "--to-destination 10.244.0.6:8080"
service outer '{clusterIP: 10.96.1.6, externalIPs: [192.0.2.10, 192.0.2.11], ports: [{port: 80}]}'
expect "external IPs without endpoints" 20 same same "-d 192.0.2.11/32"
slice outer-1 outer "" TCP 8080 10.244.0.7:n1
expect "external IPs" 20 same same "masquerade traffic for default/outer external destinations"
service balanced '{clusterIP: 10.96.1.7, type: LoadBalancer, loadBalancerSourceRanges: [198.51.100.0/24, 172.20.0.0/24], ports: [{port: 80, nodePort: 30082}]}'
slice balanced-1 balanced "" TCP 8080 10.244.0.8:n1
ingress balanced 192.0.2.20
expect "load balancer with source ranges" 20 same same "will be dropped by KUBE-PROXY-FIREWALL"
service checked '{clusterIP: 10.96.1.8, type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 30200, ports: [{port: 80, nodePort: 30083}]}'
ingress checked 192.0.2.21
slice checked-1 checked "" TCP 8080 10.244.0.9:n1 10.244.1.9:n2
expect "health check node port" 20 same same "default/checked health check node port"
service near '{clusterIP: 10.96.1.9, ports: [{port: 80}]}' 'service.kubernetes.io/topology-mode: Auto'
slice near-1 near "" TCP 8080 10.244.0.10:n1:zone=east 10.244.1.10:n2:zone=west
expect "topology hints" 20 same same "--to-destination 10.244.0.10:8080"
kubectl label node n1 topology.kubernetes.io/zone=west --overwrite > /dev/null
expect "the node's zone changes" 20 same same "--to-destination 10.244.1.10:8080"
service stream '{clusterIP: 10.96.1.10, ports: [{port: 9, protocol: SCTP}]}'
slice stream-1 stream "" SCTP 99 10.244.0.11:n1
expect "SCTP" 20 same same "-p sctp"
service headless '{clusterIP: None, ports: [{port: 80}]}'
slice headless-1 headless "" TCP 8080 10.244.0.12:n1
service both '{ipFamilyPolicy: PreferDualStack, clusterIP: 10.96.1.11, ports: [{port: 80}]}'
slice both-1 both "" TCP 8080 10.244.0.13:n1
expect "headless services have no rules" 20 same same "--to-destination 10.244.0.13:8080"
check() { ip netns exec "$1" curl -s -o - -w ' %{http_code} %header{x-load-balancing-endpoint-weight}' "http://127.0.0.1:30200/" | tr -d '\n\t '; }
both_check() { [ "$(check theirs)" = "$(check ours)" ] && check ours; }
expect "health check answers" 20 '{"service":{"namespace":"default","name":"checked"},"localEndpoints":1,"serviceProxyHealthy":true}2001' both_check
slice checked-1 checked "" TCP 8080 10.244.1.9:n2
expect "and fails without local endpoints" 20 '{"service":{"namespace":"default","name":"checked"},"localEndpoints":0,"serviceProxyHealthy":true}5030' both_check
for path in livez healthz; do
  expect "/$path" 5 200 ip netns exec ours curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:10256/$path
done
expect "/proxyMode" 5 iptables ip netns exec ours curl -s http://127.0.0.1:10249/proxyMode

service two '{clusterIP: 10.96.1.2, type: ClusterIP, ports: [{name: a, port: 81}]}'
expect "a port less, another number, no node port" 20 same same ! "--dport 30080"
kubectl delete service sticky local inner outer > /dev/null
expect "deleted services leave nothing" 20 same same ! "default/sticky"
kubectl delete endpointslice plain-1 plain-2 > /dev/null
expect "the last endpoint goes" 20 same same '"default/plain has no endpoints"'
for who in theirs ours; do
  for table in filter nat mangle; do ip netns exec $who iptables -t $table -F; ip netns exec $who iptables -t $table -X; done
done
metric() { ip netns exec ours curl -s http://127.0.0.1:10249/metrics | awk -v name="kubeproxy_sync_proxy_rules_$1" '$1 == name {print $2}'; }
expect "no difference was refused" 5 0 metric iptables_partial_restore_failures_total
expect "flushed rules come back" 30 same same default/balanced
expect "Starting event" 5 2 bash -c 'kubectl get events --field-selector reason=Starting --no-headers | wc -l'
echo >> "$SANDBOX/ours.yaml"
expect "ends when its configuration changes" 10 "error: content of the proxy server's configuration file was updated" tail -n 1 "$SANDBOX/ours.log"
start ours ip netns exec ours "$KNARR" kube-proxy --config "$SANDBOX/ours.yaml"
slice plain-1 plain "" TCP 8080 10.244.0.2:n1
expect "started again over its own rules" 20 same same "--to-destination 10.244.0.2:8080"
kill "$(pid_of ours)"
start ours ip netns exec theirs "$KNARR" kube-proxy --config "$SANDBOX/proxy.yaml" --metrics-bind-address 127.0.0.1:0
before=$(rules theirs)
kill "$(pid_of theirs)"
expect "ours takes over upstream's rules" 10 yes bash -c "sleep 3; echo yes"
expect "and leaves them as they are" 10 "$before" rules theirs
expect "--cleanup" 10 0 bash -c "ip netns exec ours $KNARR kube-proxy --cleanup; ip netns exec ours iptables-save | grep -cE 'KUBE-(SERVICES|SVC|SEP|POSTROUTING)'"
verdict
