#!/bin/sh
# tools/test.sh DIR [REGEX]: runs the built tests and ends with one line that counts them, "N passed, N failed".
# Every case of a googletest program counts; a program that dies counts as one failure more.
set -u
cd "$(dirname "$0")/.."
dir=$1 regex=${2:-.}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
GTEST_OUTPUT="xml:$results/" ctest --test-dir "$dir" --output-on-failure -j "${JOBS:-$(nproc)}" -R "$regex" --no-tests=error
status=$?
python3 tools/count_tests.py "$results" "$dir/Testing/Temporary/LastTest.log" "$status"
