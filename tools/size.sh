#!/bin/sh
# Text bytes of each module's library, largest first.
set -eu
for lib in "$1"/src/*/libknarr_*.a; do
  size "$lib" | awk -v name="$(basename "$lib")" 'NR>1 {text += $1} END {printf "%10d  %s\n", text, name}'
done | sort -rn
