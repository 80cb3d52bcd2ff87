#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/interchange/run.sh BUILD [NN]: our parts with upstream's other half; runs the scripts NN-*.sh, each in a sandbox of its own, and
# ends with "N passed, N failed". A script NN-*.sh also runs alone:
#   KNARR=build/bin/knarr tests/lib/sandbox.sh interchange tests/interchange/NN-name.sh
# Upstream's programs are built on first use under $KNARR_KIT (tests/conformance/build.sh peers). Needs root, containerd and openssl.
set -uo pipefail
cd "$(dirname "$0")/../.."
KNARR=$(realpath "${1:-build}/bin/knarr")
export KNARR KNARR_KIT=${KNARR_KIT:-/var/cache/knarr-kit/v1.28.4}
tests/conformance/build.sh peers || exit 1
source tests/lib/run_scripts.sh
run_scripts tests/interchange "${2:-}"
