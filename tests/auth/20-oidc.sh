#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# OpenID Connect: logins at a real provider, kubectl with its ID tokens, forged ones, and keys that change.
set -u
source tests/lib/parts.sh
make_pki
certificate idp /CN=localhost DNS:localhost
export NODE_EXTRA_CA_CERTS=$PKI/ca.crt
cp -r tests/auth/oidc "$SANDBOX/oidc"
ln -s "$OIDC_PACKAGES/node_modules" "$SANDBOX/oidc/node_modules"
oidc=$SANDBOX/oidc issuer=https://localhost:9900
start_provider() { # ALGORITHM ID
  [ ! -f "$SANDBOX/provider.pid" ] || { kill "$(pid_of provider)"; wait "$(pid_of provider)" 2> /dev/null; }
  node "$oidc/keys.mjs" "$1" "$2" > "$SANDBOX/keys-$2.json"
  start provider node "$oidc/provider.mjs" 9900 "$SANDBOX/keys-$2.json" "$PKI/idp.crt" "$PKI/idp.key"
  wait_for 20 curl -sf --cacert "$PKI/ca.crt" $issuer/.well-known/openid-configuration
}
login() { node "$oidc/login.mjs" $issuer "${2:-kube}" "$1"; }
forge() { node "$oidc/forge.mjs" "$@"; }
start_provider RS256 one
[ "$WHOSE" = knarr ] || start_etcd
start_apiserver "$WHOSE" --oidc-issuer-url=$issuer --oidc-client-id=kube --oidc-ca-file="$PKI/ca.crt" --oidc-username-prefix=oidc: --oidc-groups-claim=groups \
  --oidc-groups-prefix=oidc: --oidc-signing-algs=RS256,PS256,ES256,ES384
nobody=(kubectl --kubeconfig=/dev/null --server=https://$HOST:6443 --certificate-authority="$PKI/ca.crt")
as() { "${nobody[@]}" --token="$1" "${@:2}" 2>&1; }
who() { as "$1" auth whoami -o 'jsonpath={.status.userInfo.username} {.status.userInfo.groups}'; }
refused="error: You must be logged in to the server (Unauthorized)"
alice='oidc:alice ["oidc:devs","oidc:ops","system:authenticated"]'

token=$(login alice)
# Upstream reads the provider's configuration some seconds after it starts.
expect "an ID token logs in" 30 "$alice" who "$token"
expect "and may nothing yet" 5 'Error from server (Forbidden): pods is forbidden: User "oidc:alice" cannot list resource "pods" in API group "" in the namespace "default"' \
  as "$token" get pods
kubectl create clusterrolebinding devs --clusterrole=system:aggregate-to-view --group=oidc:devs > /dev/null
expect "its group may" 5 "No resources found in default namespace." as "$token" get pods
expect "another client's token" 5 "$refused" as "$(login alice other)" get pods
expect "alg none" 5 "$refused" as "$(forge "$token" none)" get pods
expect "HS256 with the public key" 5 "$refused" as "$(forge "$token" hmac "$SANDBOX/keys-one.json")" get pods
expect "a claim changed" 5 "$refused" as "$(forge "$token" tampered)" get pods
node "$oidc/keys.mjs" RS256 one > "$SANDBOX/foreign.json"
expect "another key under the same name" 5 "$refused" as "$(forge "$token" foreign "$SANDBOX/foreign.json")" get pods
for algorithm in ES256 PS256 ES384; do
  start_provider $algorithm "key-$algorithm"
  expect "the provider's key changes to $algorithm" 5 "$alice" who "$(login alice)"
done
ID_TOKEN_SECONDS=2 start_provider RS256 two
token=$(ID_TOKEN_SECONDS=2 login alice)
expect "a token of a short life" 2 "$alice" who "$token"
sleep 3
# Upstream keeps what it found for ten seconds.
expect "that is over" 15 "$refused" as "$token" get pods
verdict
