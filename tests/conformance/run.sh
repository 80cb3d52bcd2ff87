#!/bin/bash
# tests/conformance/run.sh BUILD: the official v1.28.4 suite against a fresh `knarr up`; counts go to docs/conformance.md.
#
#   AREA=skeleton|api-core|...   the areas of areas.tsv (skeleton: all of them); or
#   FOCUS=REGEX                  any of the suite's tests; default \[Conformance\]
#   SKIP=REGEX WORKERS=4         left out; parallel workers (serial tests run alone, after the rest)
#   NODES=N                      from 2: not `knarr up`, but a cluster of tests/lib/cluster.sh, whose master is tainted, with N workers
#   KUBECONFIG=FILE              an existing cluster instead of a fresh one (NODES says how many of its nodes take pods)
#
# The suite, kubectl and the images are made on first use (build.sh, images.sh; Go 1.20 or later, half an hour) under $KNARR_KIT.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build}
here=tests/conformance
export KNARR_KIT=${KNARR_KIT:-/var/cache/knarr-kit/v1.28.4}
"$here/build.sh"
"$here/images.sh"
export PATH=$KNARR_KIT/bin:$PATH
work=$(mktemp -d /tmp/knarr-conformance.XXXXXX)
report=${REPORT:-$work/report}
# A report of an earlier run in the same folder would be recorded as this one's.
rm -rf "$report/parallel" "$report/serial"
mkdir -p "$report"
nodes=${NODES:-1} pid= cluster=
export CLUSTER=$work/cluster HOSTS_NET=${HOSTS_NET:-172.29.6} HOSTS_BRIDGE=${HOSTS_BRIDGE:-knarrsuite} HOSTS_PREFIX=${HOSTS_PREFIX:-s-}
finish() {
  [ -z "$cluster" ] || tests/lib/cluster.sh down || true
  [ -z "$pid" ] || { kill "$pid" 2> /dev/null; wait "$pid" 2> /dev/null || true; "$here/clean.sh" "$work/data"; }
  [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap finish EXIT

if [ -z "${KUBECONFIG:-}" ] && [ "$nodes" -gt 1 ]; then
  cluster=made
  BUILD=$build tests/lib/cluster.sh up "$nodes" "$KNARR_KIT"/images/registry.k8s.io_{e2e-test-images_,etcd_,pause_}*.tar
  export KUBECONFIG=$CLUSTER/kubeconfig
elif [ -z "${KUBECONFIG:-}" ]; then
  "$build/bin/knarr" up --data-dir "$work/data" --listen 0.0.0.0:16443 --kubelet-port 10350 > "$work/up.log" 2>&1 &
  pid=$!
  for _ in $(seq 300); do
    grep -q '^ready in' "$work/up.log" && break
    kill -0 "$pid" 2> /dev/null || { cat "$work/up.log" >&2; exit 1; }
    sleep 0.2
  done
  export KUBECONFIG=$work/data/kubeconfig
  "$build/bin/knarr" image load --data-dir "$work/data" "$KNARR_KIT"/images/*.tar > "$work/images.log"
fi

if [ -n "${AREA:-}" ]; then
  parallel=$(python3 "$here/report.py" focus "$here/areas.tsv" "$AREA" parallel)
  serial=$(python3 "$here/report.py" focus "$here/areas.tsv" "$AREA" serial)
else
  parallel=${FOCUS:-\\[Conformance\\]}
  # By name: no regular expression says "what FOCUS matches and is serial", wherever in a name FOCUS ends.
  "$KNARR_KIT/bin/e2e.test" --provider=skeleton --ginkgo.dry-run --ginkgo.focus="$parallel" --ginkgo.json-report="$work/chosen.json" > /dev/null 2>&1
  serial=$(python3 "$here/report.py" serial "$work/chosen.json")
fi
flags=(--kubeconfig="$KUBECONFIG" --provider=skeleton --node-os-distro=debian --disable-log-dump --num-nodes="$nodes" --kubectl-path="$KNARR_KIT/bin/kubectl")
suite() { # NAME GINKGO_FLAGS...: one run of the suite
  local name=$1
  shift
  ginkgo --no-color --timeout=4h --poll-progress-after=10m "$@" "$KNARR_KIT/bin/e2e.test" -- "${flags[@]}" --report-dir="$report/$name" > "$report/$name.log" 2>&1 || true
}
suite parallel --nodes="${WORKERS:-4}" --focus="$parallel" --skip="\\[Serial\\]|\\[Disruptive\\]${SKIP:+|$SKIP}"
suite serial --focus="$serial" ${SKIP:+--skip="$SKIP"}
python3 "$here/report.py" record "$report" "$nodes" "$here/results.tsv" "$here/areas.tsv" docs/conformance.md
