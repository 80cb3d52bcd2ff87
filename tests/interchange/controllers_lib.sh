# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts that try our controllers against upstream's API server: etcd, kube-apiserver and our controller manager on loopback,
# a kubelet played with kubectl, and expect.
set -u
BINARY=${1:-build-dev/src/controller/controller_dev}
PATH=${UPSTREAM_BIN:+$UPSTREAM_BIN:}$PATH
WORK=$(mktemp -d /tmp/knarr-controllers.XXXXXX)
PORT=$((20000 + RANDOM % 20000)); ETCD=$((PORT + 1)); PEER=$((PORT + 2))
PIDS=(); FAILED=0; PASSED=0
finish() {
  for ((i = ${#PIDS[@]} - 1; i >= 0; i--)); do kill "${PIDS[i]}" 2> /dev/null; wait "${PIDS[i]}" 2> /dev/null; done
  if [ $FAILED = 0 ]; then rm -rf "$WORK"; else echo "logs: $WORK"; fi
}
trap finish EXIT

P=$WORK/pki; mkdir -p "$P"
certificate() {
  openssl req -newkey rsa:2048 -nodes -keyout "$P/$1.key" -out "$P/$1.csr" -subj "$2" 2> /dev/null
  openssl x509 -req -in "$P/$1.csr" -CA "$P/ca.crt" -CAkey "$P/ca.key" -CAcreateserial -days 2 -out "$P/$1.crt" \
    -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n') 2> /dev/null
}
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$P/ca.key" -out "$P/ca.crt" -subj /CN=kubernetes -days 2 2> /dev/null
certificate server /CN=kube-apiserver
certificate admin /O=system:masters/CN=admin
openssl genrsa -out "$P/sa.key" 2048 2> /dev/null; openssl rsa -in "$P/sa.key" -pubout -out "$P/sa.pub" 2> /dev/null
cat > "$WORK/admin.conf" << Y
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:$PORT", certificate-authority: $P/ca.crt}}]
users: [{name: u, user: {client-certificate: $P/admin.crt, client-key: $P/admin.key}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
Y
export KUBECONFIG=$WORK/admin.conf

# KNARR_APISERVER=build-dev/bin/knarr: the same against ours, to tell whose fault a failure is.
if [ -n "${KNARR_APISERVER:-}" ]; then
  APISERVER=("$KNARR_APISERVER" kube-apiserver --data-dir "$WORK/store")
else
  APISERVER=(kube-apiserver --etcd-servers=http://127.0.0.1:$ETCD)
  etcd --data-dir "$WORK/etcd" --unsafe-no-fsync --listen-client-urls http://127.0.0.1:$ETCD --advertise-client-urls http://127.0.0.1:$ETCD \
    --listen-peer-urls http://127.0.0.1:$PEER > "$WORK/etcd.log" 2>&1 &
  PIDS+=($!)
fi
"${APISERVER[@]}" --secure-port=$PORT --bind-address=127.0.0.1 --client-ca-file="$P/ca.crt" \
  --tls-cert-file="$P/server.crt" --tls-private-key-file="$P/server.key" --service-account-key-file="$P/sa.pub" \
  --service-account-signing-key-file="$P/sa.key" --service-account-issuer=https://kubernetes.default.svc --authorization-mode=Node,RBAC \
  --service-cluster-ip-range=10.97.0.0/16 > "$WORK/apiserver.log" 2>&1 &
PIDS+=($!)
for _ in $(seq 300); do kubectl get --raw /readyz > /dev/null 2>&1 && break; sleep 0.1; done
"$BINARY" --kubeconfig="$KUBECONFIG" --root-ca-file="$P/ca.crt" --service-account-private-key-file="$P/sa.key" --cluster-cidr=10.244.0.0/16 \
  --service-cluster-ip-range=10.97.0.0/16 --node-monitor-grace-period=6 --fast-namespaces --v > "$WORK/controllers.log" 2>&1 &
PIDS+=($!); MANAGER=$!

# expect NAME SECONDS WANTED COMMAND...: the command's output becomes WANTED within the time.
expect() {
  local name=$1 seconds=$2 wanted=$3 got; shift 3
  for _ in $(seq $((seconds * 10))); do
    got=$("$@" 2>&1)
    [ "$got" = "$wanted" ] && { PASSED=$((PASSED + 1)); echo "ok   $name"; return; }
    sleep 0.1
  done
  FAILED=$((FAILED + 1)); echo "FAIL $name: wanted '$wanted', got '$got'"
}
get() { local path=$1; shift; kubectl get "$@" -o "jsonpath=$path"; }
count() { kubectl get "$@" --no-headers 2> /dev/null | grep -v Terminating | wc -l; }
# Gives the running pods of a namespace a node, an address and readiness.
play_kubelet() {
  kubectl -n "$1" get pods -o json | python3 -c '
import json, subprocess, sys, zlib
def node_of(pod):
    terms = pod["spec"].get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", [])
    return ([field["values"][0] for term in terms for field in term.get("matchFields", [])] + ["n1"])[0]
for pod in json.load(sys.stdin)["items"]:
    ns, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    if pod["metadata"].get("deletionTimestamp"): continue
    if not pod["spec"].get("nodeName"):
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "namespace": ns}, "target": {"kind": "Node", "name": node_of(pod)}}
        subprocess.run(["kubectl", "create", "--raw", f"/api/v1/namespaces/{ns}/pods/{name}/binding", "-f", "-"], input=json.dumps(binding).encode(), stdout=subprocess.DEVNULL)
    if pod["status"].get("podIP"): continue
    ip = "10.244.0.%d" % (zlib.crc32(name.encode()) % 250 + 2)
    status = {"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2024-01-01T00:00:00Z"}]}}
    subprocess.run(["kubectl", "-n", ns, "patch", "pod", name, "--subresource=status", "-p", json.dumps(status)], stdout=subprocess.DEVNULL)
'
}
rollout() { for _ in $(seq 20); do play_kubelet "$1"; kubectl -n "$1" rollout status "deploy/$2" --timeout=300ms > /dev/null 2>&1 && return; done; }
node_ready() {  # NODE: as its kubelet would post it, with the time of now
  local now; now=$(date -u +%FT%TZ)
  kubectl patch node "$1" --subresource=status -p "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"R\",\"message\":\"m\",\"lastHeartbeatTime\":\"$now\",\"lastTransitionTime\":\"$now\"}]}}" > /dev/null 2>&1
}
heartbeat() { while node_ready "$1"; do sleep 2; done; }
deployment() {  # NAMESPACE NAME REPLICAS IMAGE
  cat << Y
apiVersion: apps/v1
kind: Deployment
metadata: {name: $2, namespace: $1}
spec:
  replicas: $3
  selector: {matchLabels: {app: $2}}
  template:
    metadata: {labels: {app: $2}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: $4, ports: [{name: web, containerPort: 8080}]}]}
Y
}
# Ends the manager, which must still be there and end in order; the last command of a script.
report() {
  kill -0 $MANAGER 2> /dev/null || { echo "FAIL the controller manager died"; FAILED=$((FAILED + 1)); }
  echo "resident kB: $(awk '/VmRSS/ {print $2}' /proc/$MANAGER/status)"
  kill $MANAGER; wait $MANAGER; [ $? = 0 ] || { echo "FAIL the controller manager did not end in order"; FAILED=$((FAILED + 1)); }
  echo "$PASSED passed, $FAILED failed"
  [ $FAILED = 0 ]
}
