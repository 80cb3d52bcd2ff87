#!/bin/sh
# Asks upstream's CEL (cel-go v0.16.1 as k8s.io/apiserver v0.28.4 sets it up) about the cases of tests/vectors/cel_expressions.jsonl and
# records its answers in tests/vectors/cel_cases.jsonl. Needs go and its modules.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
vectors=$here/../../tests/vectors
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/main.go" "$here/go.mod" "$work/"
cd "$work"
GOFLAGS=-mod=mod GONOSUMDB='*' GOSUMDB=off go build -p 1 -o oracle .
./oracle < "$vectors/cel_expressions.jsonl" > "$work/answers"
mv "$work/answers" "$vectors/cel_cases.jsonl"
