#!/bin/sh
# Builds every fuzz target with clang, ASan and UBSan, and runs each for FUZZ_SECONDS (60), from the seeds in tests/fuzz/seeds/TARGET.
set -eu
cd "$(dirname "$0")/.."
command -v clang++ > /dev/null || apt-get install -y -q --no-install-recommends clang libclang-rt-14-dev > /dev/null
[ -f build-fuzz/build.ninja ] || cmake -S . -B build-fuzz -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++ \
  -DKNARR_FUZZ=ON -DKNARR_SANITIZE=fuzzer-no-link,address,undefined > /dev/null
targets=$(git ls-files 'src/*_fuzz.cc' | xargs -n1 basename | sed 's/\.cc$//')
# shellcheck disable=SC2086
ninja -C build-fuzz --quiet $targets
failed=0
for target in $targets; do
  binary=$(find build-fuzz -type f -name "$target" -perm -u+x)
  corpus=build-fuzz/corpus/$target seeds=tests/fuzz/seeds/$target
  mkdir -p "$corpus"
  [ -d "$seeds" ] || seeds=
  echo "== $target"
  # shellcheck disable=SC2086
  "$binary" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
    -artifact_prefix="build-fuzz/$target-" "$corpus" $seeds || failed=$((failed + 1))
done
echo "$(echo "$targets" | wc -w) targets, $failed with findings"
[ "$failed" = 0 ]
