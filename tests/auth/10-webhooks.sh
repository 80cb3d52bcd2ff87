#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Names and passwords: a webhook that knows tokens and one that decides, a proxy that takes HTTP basic, and what certificates may say.
set -u
source tests/lib/parts.sh
make_pki
# The proxies' CA is one of its own.
mkdir -p "$SANDBOX/front"
clients=$PKI
PKI=$SANDBOX/front
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$PKI/ca.key" -out "$PKI/ca.crt" -subj /CN=front-proxy-ca -days 2 2> /dev/null
certificate proxy /CN=front-proxy-client
certificate stranger /CN=somebody-else
front=$PKI PKI=$clients
printf 'ann:pass1:readers\nbob:pass2:\nmallory:pass3:readers\n' > "$SANDBOX/users"
[ "$WHOSE" = knarr ] || start_etcd
start webhook python3 tests/auth/webhook.py 9901 "$SANDBOX/users"
for path in authenticate authorize; do
  cat > "$SANDBOX/$path.conf" << K
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:9901/$path"}}]
users: [{name: u, user: {}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
K
done
AUTHORIZATION_MODE=Node,RBAC,Webhook start_apiserver "$WHOSE" --authentication-token-webhook-config-file="$SANDBOX/authenticate.conf" --authentication-token-webhook-version=v1 \
  --authorization-webhook-config-file="$SANDBOX/authorize.conf" \
  --requestheader-client-ca-file="$front/ca.crt" --requestheader-allowed-names=front-proxy-client --requestheader-username-headers=X-Remote-User \
  --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra-
start proxy python3 tests/auth/basic_proxy.py 9902 "$SANDBOX/users" "$HOST:6443" "$PKI/ca.crt" "$front/proxy.crt" "$front/proxy.key"
nobody=(kubectl --kubeconfig=/dev/null --server=https://$HOST:6443 --certificate-authority="$PKI/ca.crt")
as() { "${nobody[@]}" --token="$1" "${@:2}" 2>&1; }
wait_for 10 curl -s http://127.0.0.1:9902/
api() { curl -sk "$@"; }
message() { python3 -c 'import json,sys; print(json.load(sys.stdin)["message"])'; }

expect "a name and password as a token" 5 "ann readers,system:authenticated webhook" bash -c \
  "$(declare -f as); $(declare -p nobody); as ann:pass1 auth whoami -o json | python3 -c 'import json,sys; u=json.load(sys.stdin)[\"status\"][\"userInfo\"]; print(u[\"username\"], \",\".join(u[\"groups\"]), u[\"extra\"][\"via\"][0])'"
expect "a wrong password" 5 "error: You must be logged in to the server (Unauthorized)" as ann:pass2 get pods
expect "readers read" 5 "No resources found in default namespace." as ann:pass1 get configmaps -l no=such
expect "and do not write" 5 'error: failed to create configmap: configmaps is forbidden: User "ann" cannot create resource "configmaps" in API group "" in the namespace "default": not a reader' \
  as ann:pass1 create configmap x
expect "a denial ends it" 5 'Error from server (Forbidden): configmaps is forbidden: User "mallory" cannot list resource "configmaps" in API group "" in the namespace "default": mallory is mallory' \
  as mallory:pass3 get configmaps
kubectl create rolebinding bob --clusterrole=system:aggregate-to-view --user=bob > /dev/null
expect "RBAC is asked before the webhook" 5 "No resources found in default namespace." as bob:pass2 get configmaps -l no=such
before=$(curl -s http://127.0.0.1:9901/count)
for _ in 1 2 3 4 5; do as ann:pass1 get --raw /api/v1/namespaces/default/configmaps > /dev/null; done
first=$(curl -s http://127.0.0.1:9901/count)
for _ in 1 2 3 4 5; do as ann:pass1 get --raw /api/v1/namespaces/default/configmaps > /dev/null; done
expect "answers are kept" 1 "$first" curl -s http://127.0.0.1:9901/count

expect "HTTP basic by the proxy" 5 bob bash -c "curl -s -u bob:pass2 -XPOST -H 'Content-Type: application/json' -d '{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"SelfSubjectReview\"}' \
  http://127.0.0.1:9902/apis/authentication.k8s.io/v1/selfsubjectreviews | python3 -c 'import json,sys; print(json.load(sys.stdin)[\"status\"][\"userInfo\"][\"username\"])'"
expect "with a wrong password" 5 401 curl -s -o /dev/null -w '%{http_code}' -u bob:pass1 http://127.0.0.1:9902/api/v1/namespaces
expect "headers of clients are dropped" 5 403 curl -s -o /dev/null -w '%{http_code}' -u bob:pass2 -H 'X-Remote-Group: system:masters' http://127.0.0.1:9902/api/v1/nodes
code() { curl -s -o /dev/null -w '%{http_code}' --cacert "$PKI/ca.crt" "$@" https://$HOST:6443/api/v1/secrets; }
expect "a proxy says who it is" 5 200 code --cert "$front/proxy.crt" --key "$front/proxy.key" -H 'X-Remote-User: root' -H 'X-Remote-Group: system:masters'
expect "a proxy that says nothing is nobody" 5 401 code --cert "$front/proxy.crt" --key "$front/proxy.key"
expect "another name is no proxy" 5 401 code --cert "$front/stranger.crt" --key "$front/stranger.key" -H 'X-Remote-User: root' -H 'X-Remote-Group: system:masters'
expect "nor is a client's certificate" 5 403 code --cert "$PKI/scheduler.crt" --key "$PKI/scheduler.key" -H 'X-Remote-User: root' -H 'X-Remote-Group: system:masters'
expect "nor is nobody" 5 403 code -H 'X-Remote-User: root' -H 'X-Remote-Group: system:masters'
expect "the configuration is published" 5 '["X-Remote-User"] ["front-proxy-client"]' get \
  '{.data.requestheader-username-headers} {.data.requestheader-allowed-names}' configmap -n kube-system extension-apiserver-authentication
verdict
