# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced: run_scripts FOLDER [NN] runs FOLDER's scripts NN-*.sh, each in a sandbox of its own and for ten minutes at most, and ends with
# "N passed, N failed", the sums of what they counted. The third line of a script is its title.
run_scripts() {
  local folder=$1 passed=0 failed=0 script output status counts
  for script in "$folder"/${2:-[0-9][0-9]}-*.sh; do
    echo "== $(sed -n '3s/^# //p' "$script")"
    output=$(timeout 600 tests/lib/sandbox.sh "$(basename "$folder")" "$script" 2>&1)
    status=$?
    echo "$output"
    counts=$(grep -oE '^[0-9]+ passed, [0-9]+ failed$' <<< "$output" | tail -1)
    passed=$((passed + $(cut -d' ' -f1 <<< "${counts:-0 x 0}"))) failed=$((failed + $(cut -d' ' -f3 <<< "${counts:-0 x 0}")))
    # A script that ends early has failed whatever it had counted.
    if [ $status != 0 ] && { [ -z "$counts" ] || [ "$(cut -d' ' -f3 <<< "$counts")" = 0 ]; }; then failed=$((failed + 1)); echo "FAIL $script: exit status $status"; fi
  done
  echo "$passed passed, $failed failed"
  [ $failed = 0 ] && [ $passed -gt 0 ]
}
