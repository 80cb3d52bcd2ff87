#!/bin/bash
# bench/run.sh BUILD: knarr and upstream's etcd, kube-apiserver and kube-scheduler side by side, the same load from client-go, as ratios. Writes docs/bench.md.
#
# Upstream's programs are made on first use (tests/conformance/build.sh peers) under $KNARR_KIT; etcd comes from there or from PATH.
# N=5000 objects, CLIENTS=32. Each scenario runs on both before the next, so that a noisy machine is noisy for both.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(cd "${1:-build}" && pwd)
export KNARR_KIT=${KNARR_KIT:-/var/cache/knarr-kit/v1.28.4}
tests/conformance/build.sh peers
export PATH=$KNARR_KIT/bin:$PATH
work=$(mktemp -d /tmp/knarr-bench.XXXXXX)
n=${N:-5000} clients=${CLIENTS:-32}
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
  wait 2> /dev/null || true
  tests/conformance/clean.sh "$work/ours"
  rm -rf "$work"
}
trap finish EXIT
(cd bench/load && GOFLAGS=-mod=mod go build -o "$work/load" .)

start_ours() {
  "$build/bin/knarr" up --data-dir "$work/ours" --listen 127.0.0.1:16643 --kubelet-port 10950 > "$work/ours.log" 2>&1 &
  ours=$!
  pids+=("$ours")
  until grep -q '^ready in' "$work/ours.log"; do kill -0 "$ours" || { cat "$work/ours.log" >&2; exit 1; }; sleep 0.1; done
}
start_upstream() {
  local pki=$work/upstream
  mkdir -p "$pki"
  certificate() { # NAME SUBJECT
    openssl req -newkey rsa:2048 -nodes -keyout "$pki/$1.key" -out "$pki/$1.csr" -subj "$2" 2> /dev/null
    openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 9 -out "$pki/$1.crt" \
      -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n') 2> /dev/null
  }
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$pki/ca.key" -out "$pki/ca.crt" -subj /CN=bench -days 9 2> /dev/null
  certificate server /CN=kube-apiserver
  certificate admin /O=system:masters/CN=admin
  openssl genrsa -out "$pki/sa.key" 2048 2> /dev/null
  cat > "$pki/kubeconfig" <<K
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:16743", certificate-authority: $pki/ca.crt}}]
users: [{name: u, user: {client-certificate: $pki/admin.crt, client-key: $pki/admin.key}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
K
  etcd --data-dir "$work/etcd" --listen-client-urls http://127.0.0.1:16744 --advertise-client-urls http://127.0.0.1:16744 \
    --listen-peer-urls http://127.0.0.1:16745 > "$work/etcd.log" 2>&1 &
  pids+=($!)
  etcd=$!
  kube-apiserver --etcd-servers=http://127.0.0.1:16744 --secure-port=16743 --bind-address=127.0.0.1 --client-ca-file="$pki/ca.crt" \
    --tls-cert-file="$pki/server.crt" --tls-private-key-file="$pki/server.key" --service-account-key-file="$pki/sa.key" \
    --service-account-signing-key-file="$pki/sa.key" --service-account-issuer=https://kubernetes.default.svc --authorization-mode=Node,RBAC \
    --service-cluster-ip-range=10.97.0.0/16 --max-requests-inflight=2000 --max-mutating-requests-inflight=1000 > "$work/apiserver.log" 2>&1 &
  apiserver=$!
  pids+=("$apiserver")
  until kubectl --kubeconfig "$pki/kubeconfig" get --raw /readyz > /dev/null 2>&1; do sleep 0.1; done
}
resident() { awk '/VmRSS/ {printf "%.1f", $2 / 1024}' "/proc/$1/status"; }

start_ours
ready=$(sed -n 's/^ready in \([0-9]*\) ms/\1/p' "$work/ours.log")
sleep 10 # let start-up settle, so that idle is idle
idle_ours=$(resident "$ours")
: > "$work/results"
# Before anything else runs on the machine: one pod at a time, and the runtime asked for the same.
"$work/load" -kubeconfig "$work/ours/kubeconfig" podstart | sed 's/^/ours any /' >> "$work/results"
"$work/load" -kubeconfig "$work/ours/kubeconfig" -cri "unix://$work/ours/containerd/containerd.sock" crifloor | sed 's/^/runtime any /' >> "$work/results"
start_upstream
sleep 10
idle_upstream=$(awk -v a="$(resident "$etcd")" -v b="$(resident "$apiserver")" 'BEGIN {print a + b}')

for encoding in json protobuf; do
  flags=()
  [ "$encoding" = json ] || flags=(-protobuf)
  for side in ours upstream; do
    "$work/load" -kubeconfig "$work/$side/kubeconfig" "${flags[@]}" -n "$n" -c "$clients" create get list watch |
      sed "s/^/$side $encoding /" >> "$work/results"
  done
done
python3 bench/report.py "$work/results" docs/bench.md "$ready" "$idle_ours" "$idle_upstream"
