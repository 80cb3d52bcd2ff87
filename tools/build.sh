#!/bin/sh
# tools/build.sh DIR TYPE [-DCMAKE_OPTION...] [TARGET...]: configure once, then build.
set -eu
cd "$(dirname "$0")/.."
dir=$1 type=$2
shift 2
options= targets=
for word; do
  case $word in -D*) options="$options $word" ;; *) targets="$targets $word" ;; esac
done
# shellcheck disable=SC2086
[ -f "$dir/build.ninja" ] || cmake -S . -B "$dir" -G Ninja -DCMAKE_BUILD_TYPE="$type" $options > "$dir.configure.log" 2>&1 ||
  { cat "$dir.configure.log" >&2; exit 1; }
rm -f "$dir.configure.log"
# shellcheck disable=SC2086
exec ninja -C "$dir" -j "${JOBS:-$(nproc)}" --quiet $targets
