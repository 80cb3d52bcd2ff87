#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/auth/run.sh BUILD [NN]: logins and permissions end to end, kubectl against a kube-apiserver in a sandbox; WHOSE=upstream runs the same
# against upstream's. Ends with "N passed, N failed". Needs root, openssl, python3, node and npm (once, for the package oidc-provider).
set -uo pipefail
cd "$(dirname "$0")/../.."
KNARR=$(realpath "${1:-build}/bin/knarr")
export KNARR KNARR_KIT=${KNARR_KIT:-/var/cache/knarr-kit/v1.28.4} WHOSE=${WHOSE:-knarr}
tests/conformance/build.sh peers || exit 1
export OIDC_PACKAGES=$KNARR_KIT/oidc-provider
if [ ! -d "$OIDC_PACKAGES/node_modules" ]; then
  mkdir -p "$OIDC_PACKAGES"
  cp tests/auth/oidc/package.json "$OIDC_PACKAGES/" && (cd "$OIDC_PACKAGES" && npm install --no-audit --no-fund --silent) || exit 1
fi
source tests/lib/run_scripts.sh
run_scripts tests/auth "${2:-}"
