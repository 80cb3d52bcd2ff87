#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Our DNS server and upstream's CoreDNS, side by side with one Corefile and one API server: the same answers to the same questions.
set -u
source tests/lib/parts.sh
make_pki
start_apiserver knarr

kubectl create namespace shop > /dev/null
kubectl apply -f - > /dev/null << Y
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {clusterIP: 10.96.1.1, ports: [{name: http, port: 80}, {name: metrics, port: 9090}]}}
- {apiVersion: v1, kind: Service, metadata: {name: udp, namespace: shop}, spec: {clusterIP: 10.96.1.2, ports: [{port: 514, protocol: UDP}]}}
- {apiVersion: v1, kind: Service, metadata: {name: mixed, namespace: shop}, spec: {clusterIP: 10.96.1.3, ports: [{name: http, port: 80}]}}
- {apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop}, spec: {clusterIP: None, ports: [{name: sql, port: 5432}]}}
- {apiVersion: v1, kind: Service, metadata: {name: none, namespace: shop}, spec: {clusterIP: None, ports: [{name: sql, port: 5432}]}}
- {apiVersion: v1, kind: Service, metadata: {name: large, namespace: shop}, spec: {clusterIP: None, ports: [{name: a, port: 1}]}}
- {apiVersion: v1, kind: Service, metadata: {name: inside, namespace: shop}, spec: {type: ExternalName, externalName: web.shop.svc.cluster.local}}
- {apiVersion: v1, kind: Service, metadata: {name: outside, namespace: shop}, spec: {type: ExternalName, externalName: www.example.test}}
- {apiVersion: v1, kind: Service, metadata: {name: gone, namespace: shop}, spec: {type: ExternalName, externalName: nobody.example.test}}
- {apiVersion: v1, kind: Service, metadata: {name: kube-dns, namespace: kube-system}, spec: {clusterIP: 10.96.0.10, ports: [{name: dns, port: 53, protocol: UDP}]}}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: db-1, namespace: shop, labels: {kubernetes.io/service-name: db}}
  addressType: IPv4
  ports: [{name: sql, port: 5432, protocol: TCP}]
  endpoints:
  - {addresses: [10.244.0.5], hostname: db-0, conditions: {ready: true}}
  - {addresses: [10.244.0.6], hostname: db-1, conditions: {ready: true}}
  - {addresses: [10.244.0.7], hostname: db-2, conditions: {ready: false}}
  - {addresses: [10.244.0.8]}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
  addressType: IPv4
  ports: [{name: http, port: 8080, protocol: TCP}]
  endpoints: [{addresses: [10.244.0.9]}]
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: db-v6, namespace: shop, labels: {kubernetes.io/service-name: db}}
  addressType: IPv6
  ports: [{name: sql, port: 5432, protocol: TCP}]
  endpoints: [{addresses: ["fd00::5"], hostname: db-0}]
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: dns-1, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
  addressType: IPv4
  ports: [{name: dns, port: 53, protocol: UDP}]
  endpoints: [{addresses: ["$HOST"]}]
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: large-1, namespace: shop, labels: {kubernetes.io/service-name: large}}
  addressType: IPv4
  ports: [{name: a, port: 1, protocol: TCP}]
  endpoints: [$(for i in $(seq 1 90); do printf '{addresses: [10.244.3.%d]}, ' "$i"; done)]
Y

# The world outside the cluster: a server that knows two names.
cat > "$SANDBOX/Outside" << C
example.test:7053 {
  hosts {
    192.0.2.7 www.example.test
    2001:db8::7 www.example.test
  }
}
.:7053 {
  template IN ANY . {
    rcode NXDOMAIN
    authority ". 60 IN SOA a.root. nobody.root. 1 2 3 4 60"
  }
}
C
start outside "$UPSTREAM/coredns" -conf "$SANDBOX/Outside"
corefile() { # PORT HEALTH READY METRICS
  cat << C
.:$1 {
    errors
    health :$2 {
       lameduck 1s
    }
    ready :$3
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       kubeconfig $PKI/admin.conf
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :$4
    forward . 127.0.0.1:7053 {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
C
}
corefile 5053 5080 5081 5053 > "$SANDBOX/Upstream"
corefile 6053 6080 6081 6053 > "$SANDBOX/Ours"
sed -i 's/prometheus :5053/prometheus :5090/' "$SANDBOX/Upstream"
sed -i 's/prometheus :6053/prometheus :6090/' "$SANDBOX/Ours"
start upstream-dns "$UPSTREAM/coredns" -conf "$SANDBOX/Upstream"
start knarr-dns "$KNARR" coredns -conf "$SANDBOX/Ours"
for port in 5081 6081; do expect "ready on $port" 20 OK curl -s "http://127.0.0.1:$port/ready"; done
expect "healthy" 5 OK curl -s http://127.0.0.1:6080/health

# What both must agree on: code, flags, records in any order; not the id, the time, the serial number, what is left of a TTL.
answer() { # PORT DIG_ARGUMENTS...
  local port=$1
  shift
  dig +time=3 +tries=1 +nocookie "@127.0.0.1" -p "$port" "$@" > "$SANDBOX/dig.out" 2>&1
  grep -E '^;; flags|status:' "$SANDBOX/dig.out" | sed 's/, id: .*//'
  sed -nE '/^;; [A-Z]+ SECTION:|^[^;]/p' "$SANDBOX/dig.out" | awk '
    /^;; / {section = $2; next}
    $4 == "SOA" {$7 = "serial"}
    {if (section != "QUESTION") $2 = "ttl"; print section, $0}' | sort
}
same() { # DIG_ARGUMENTS...
  local theirs ours
  theirs=$(answer 5053 "$@") ours=$(answer 6053 "$@")
  if [ "$theirs" = "$ours" ]; then
    passed=$((passed + 1))
    echo "ok   $*"
  else
    failed=$((failed + 1))
    echo "FAIL $*"
    diff <(echo "$theirs") <(echo "$ours") | sed 's/^/     /'
  fi
}
c=cluster.local
for name in web.shop udp.shop db.shop none.shop inside.shop outside.shop gone.shop nobody.shop web.nowhere db-0.db.shop db-2.db.shop 10-244-0-8.db.shop \
  10-244-0-9.web.shop _http._tcp.web.shop _sql._tcp.db.shop _none._tcp.web.shop too.many.labels.web.shop MiXed.sHoP; do
  for type in A AAAA SRV CNAME TXT MX; do same "$name.svc.$c" $type; done
done
for name in shop.svc nowhere.svc svc pod 1-2-3-4.shop.pod fd00--5.shop.pod x.shop.pod 1-2-3-4.nowhere.pod ns.dns nothing; do
  for type in A AAAA; do same "$name.$c" $type; done
done
# (TXT of the zone itself: the plugin says that the name does not exist, which it does.)
for type in A AAAA SOA NS ANY SRV; do same $c $type; done
same dns-version.$c TXT
same -x 10.96.1.1
same -x 10.244.0.5
same -x 10.244.0.8
same -x 10.244.0.7
same -x 192.0.2.1
same -x fd00::5
same www.example.test A
same www.example.test AAAA
same www.example.test A
same nobody.example.test A
same web.shop.svc.$c A +noedns
same web.shop.svc.$c A +bufsize=4096 +dnssec
same web.shop.svc.$c A +edns=1 +noednsnegotiation
same web.shop.svc.$c A +tcp
same web.shop.svc.$c AXFR
expect "a long answer is cut as upstream's" 0 "$(answer 5053 large.shop.svc.$c A +noedns +ignore | head -2)" bash -c "$(declare -f answer); answer 6053 large.shop.svc.$c A +noedns +ignore | head -2"
same large.shop.svc.$c A +noedns
same large.shop.svc.$c A +bufsize=4096
same large.shop.svc.$c SRV +bufsize=1232

kubectl -n shop delete service web > /dev/null
expect "a deleted service is gone" 5 NXDOMAIN bash -c "dig @127.0.0.1 -p 6053 web.shop.svc.$c | sed -n 's/.*status: \\([A-Z]*\\).*/\\1/p'"
expect "metrics count" 5 yes bash -c 'curl -s http://127.0.0.1:6090/metrics | grep -q "^coredns_dns_requests_total{.*type=\"SRV\"} [1-9]" && echo yes'
# A Corefile that sends questions back to the server itself.
sed 's/6053/6153/; s/6080/6180/; s/6081/6181/; s/6090/6190/; s/127.0.0.1:7053/127.0.0.1:6154/' "$SANDBOX/Ours" > "$SANDBOX/Loop"
cat > "$SANDBOX/Back" << C
.:6154 {
  forward . 127.0.0.1:6153
}
C
start back "$UPSTREAM/coredns" -conf "$SANDBOX/Back"
sleep 1
timeout 20 "$KNARR" coredns -conf "$SANDBOX/Loop" > "$SANDBOX/loop.log" 2>&1
expect "a loop ends the server" 0 1 echo $?
for part in knarr-dns upstream-dns apiserver; do expect "$part still runs" 0 yes bash -c "kill -0 $(pid_of $part) && echo yes"; done
verdict
