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
passed=0 failed=0
for script in tests/interchange/${2:-[0-9][0-9]}-*.sh; do
  echo "== $(sed -n '3s/^# //p' "$script")"
  output=$(timeout 600 tests/lib/sandbox.sh interchange "$script" 2>&1)
  status=$?
  echo "$output"
  counts=$(grep -oE '^[0-9]+ passed, [0-9]+ failed$' <<< "$output" | tail -1)
  passed=$((passed + $(cut -d' ' -f1 <<< "${counts:-0 x 0}"))) failed=$((failed + $(cut -d' ' -f3 <<< "${counts:-0 x 0}")))
  # A script that ends early has failed whatever it had counted.
  if [ $status != 0 ] && { [ -z "$counts" ] || [ "$(cut -d' ' -f3 <<< "$counts")" = 0 ]; }; then failed=$((failed + 1)); echo "FAIL $script: exit status $status"; fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
