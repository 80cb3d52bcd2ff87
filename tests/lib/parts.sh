# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced inside tests/lib/sandbox.sh: starts the parts of a cluster, ours or upstream's, on their usual ports, and counts expectations.
#
#   UPSTREAM   folder of upstream's programs ($KNARR_KIT/bin)     KNARR   our binary
#   make_pki; start_etcd; start_apiserver upstream|knarr [FLAGS]; start_scheduler ...; start_controllers ...;
#   start_containerd NODE; start_kubelet upstream|knarr NODE [FLAGS]
#   expect NAME SECONDS WANTED COMMAND...      the command's output becomes WANTED within the time
#   verdict                                    prints the counts, and is the script's status
KNARR_KIT=${KNARR_KIT:-/var/cache/knarr-kit/v1.28.4}
UPSTREAM=${UPSTREAM:-$KNARR_KIT/bin}
PATH=$UPSTREAM:$PATH
PKI=$SANDBOX/pki
HOST=172.20.0.1
passed=0 failed=0

# start NAME COMMAND...: in the background; its output goes to $SANDBOX/NAME.log and its process id to $SANDBOX/NAME.pid.
start() {
  local name=$1
  shift
  "$@" > "$SANDBOX/$name.log" 2>&1 &
  echo $! > "$SANDBOX/$name.pid"
}
pid_of() { cat "$SANDBOX/$1.pid"; }
alive() { kill -0 "$(pid_of "$1")" 2> /dev/null; }

certificate() { # NAME SUBJECT [ALTERNATIVE_NAMES]
  openssl req -newkey rsa:2048 -nodes -keyout "$PKI/$1.key" -out "$PKI/$1.csr" -subj "$2" 2> /dev/null
  openssl x509 -req -in "$PKI/$1.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial -days 2 -out "$PKI/$1.crt" \
    -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "${3:-DNS:$1}") 2> /dev/null
}
kubeconfig() { # NAME: for the user of that certificate
  cat > "$PKI/$1.conf" << K
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://$HOST:6443", certificate-authority: $PKI/ca.crt}}]
users: [{name: u, user: {client-certificate: $PKI/$1.crt, client-key: $PKI/$1.key}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
K
}
make_pki() {
  mkdir -p "$PKI"
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$PKI/ca.key" -out "$PKI/ca.crt" -subj /CN=kubernetes -days 2 2> /dev/null
  certificate apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:$HOST,IP:10.96.0.1"
  certificate admin /O=system:masters/CN=kubernetes-admin
  certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
  certificate controllers /CN=system:kube-controller-manager
  certificate scheduler /CN=system:kube-scheduler
  certificate front-proxy /CN=front-proxy-client
  openssl genrsa -out "$PKI/sa.key" 2048 2> /dev/null
  openssl rsa -in "$PKI/sa.key" -pubout -out "$PKI/sa.pub" 2> /dev/null
  for user in admin controllers scheduler; do kubeconfig $user; done
  export KUBECONFIG=$PKI/admin.conf
}

start_etcd() {
  start etcd etcd --data-dir "$SANDBOX/etcd" --quota-backend-bytes 8589934592 --log-level error
}
# The same flags for either. Ours keeps its own store unless STORE=etcd; NAME, PORT and ADVERTISE let a second one run beside the first.
start_apiserver() { # upstream|knarr FLAGS...
  local whose=$1 program store name=${NAME:-apiserver} port=${PORT:-6443}
  shift
  store=(--etcd-servers=http://127.0.0.1:2379)
  if [ "$whose" = knarr ]; then
    program=("$KNARR" kube-apiserver)
    [ "${STORE:-}" = etcd ] || store=(--data-dir "$SANDBOX/store")
  else
    program=("$UPSTREAM/kube-apiserver")
  fi
  start "$name" "${program[@]}" "${store[@]}" --secure-port="$port" --bind-address=0.0.0.0 --advertise-address="${ADVERTISE:-$HOST}" \
    --client-ca-file="$PKI/ca.crt" \
    --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" --service-account-key-file="$PKI/sa.pub" \
    --service-account-signing-key-file="$PKI/sa.key" --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --authorization-mode="${AUTHORIZATION_MODE:-Node,RBAC}" --enable-admission-plugins=NodeRestriction --service-cluster-ip-range=10.96.0.0/16 \
    --kubelet-client-certificate="$PKI/kubelet-client.crt" --kubelet-client-key="$PKI/kubelet-client.key" \
    --kubelet-preferred-address-types=InternalIP --requestheader-client-ca-file="$PKI/ca.crt" --proxy-client-cert-file="$PKI/front-proxy.crt" \
    --proxy-client-key-file="$PKI/front-proxy.key" --allow-privileged=true "$@"
  wait_for 60 kubectl --server "https://$HOST:$port" get --raw /readyz
}
start_scheduler() { # upstream|knarr FLAGS...
  local program=("$UPSTREAM/kube-scheduler")
  [ "$1" = upstream ] || program=("$KNARR" kube-scheduler)
  shift
  start scheduler "${program[@]}" --kubeconfig="$PKI/scheduler.conf" --leader-elect=false "$@"
}
start_controllers() { # upstream|knarr FLAGS...
  local program=("$UPSTREAM/kube-controller-manager")
  [ "$1" = upstream ] || program=("$KNARR" kube-controller-manager)
  shift
  start controllers "${program[@]}" --kubeconfig="$PKI/controllers.conf" --root-ca-file="$PKI/ca.crt" --leader-elect=false \
    --service-account-private-key-file="$PKI/sa.key" --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" \
    --use-service-account-credentials=true --cluster-cidr=10.244.0.0/16 --allocate-node-cidrs=true "$@"
}

# A containerd with a bridge for pods and the images that ship with knarr.
start_containerd() {
  local dir=$SANDBOX/runtime cni=/opt/cni/bin
  [ -x "$cni/bridge" ] || cni=/usr/lib/cni
  mkdir -p "$dir/cni"
  cat > "$dir/cni/10.conflist" << K
{"cniVersion":"0.4.0","name":"cni","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"hairpinMode":true,"ipMasq":false,
 "ipam":{"type":"host-local","dataDir":"$dir/ipam","ranges":[[{"subnet":"10.244.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
K
  cat > "$dir/config.toml" << K
version = 2
root = "$dir/root"
state = "$dir/state"
[grpc]
  address = "$dir/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "registry.k8s.io/pause:3.9"
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$cni"
    conf_dir = "$dir/cni"
K
  start containerd containerd --config "$dir/config.toml"
  RUNTIME=$dir/containerd.sock
  wait_for 30 ctr --address "$RUNTIME" version
  for image in "$(dirname "$KNARR")"/../share/knarr/images/*.tar; do ctr --address "$RUNTIME" -n k8s.io images import "$image" > /dev/null; done
}
start_kubelet() { # upstream|knarr NODE FLAGS...
  local whose=$1 node=$2 dir=$SANDBOX/kubelet program=("$UPSTREAM/kubelet")
  shift 2
  [ "$whose" = upstream ] || program=("$KNARR" kubelet)
  mkdir -p "$dir/manifests"
  certificate "$node" "/O=system:nodes/CN=system:node:$node" "DNS:$node,IP:$HOST"
  kubeconfig "$node"
  echo 'nameserver 127.0.0.53' > "$dir/resolv.conf"
  cat > "$dir/config.yaml" << K
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: $SANDBOX_CGROUP
failSwapOn: false
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix://$RUNTIME
staticPodPath: $dir/manifests
tlsCertFile: $PKI/$node.crt
tlsPrivateKeyFile: $PKI/$node.key
resolvConf: $dir/resolv.conf
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
K
  start kubelet "${program[@]}" --config "$dir/config.yaml" --kubeconfig "$PKI/$node.conf" --root-dir "$dir/root" --node-ip $HOST \
    --hostname-override "$node" "$@"
}

wait_for() { # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@" > /dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}
expect() {
  local name=$1 end=$((SECONDS + $2)) wanted=$3 got
  shift 3
  while :; do
    got=$("$@" 2>&1) || true
    if [ "$got" = "$wanted" ]; then
      passed=$((passed + 1))
      echo "ok   $name"
      return
    fi
    [ $SECONDS -lt $end ] || break
    sleep 0.2
  done
  failed=$((failed + 1))
  echo "FAIL $name: wanted '$wanted', got '$got'"
}
get() { # JSONPATH WHAT...
  local path=$1
  shift
  kubectl get "$@" -o "jsonpath=$path"
}
# The ends of the logs say why when something failed.
verdict() {
  if [ $failed -gt 0 ]; then
    for log in "$SANDBOX"/*.log; do echo "---- $(basename "$log")"; tail -n 12 "$log" | cut -c1-300; done
  fi
  echo "$passed passed, $failed failed"
  [ $failed = 0 ]
}
