#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Checks that the cells in src/apiserver/testdata/tables.yaml are those that upstream's printers make of the objects beside them; with
# --write they are written there. New cases: add `- cells: []` and `object: {...}` to the file, then run with --write.
#
#   KUBERNETES_MODULE=/folder/with/go.mod/and/go.sum tests/interchange/table_cells.sh [--write]
# The folder's go.mod requires k8s.io/kubernetes v1.28.4 and its staging modules. Needs go and python3 with PyYAML.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${KUBERNETES_MODULE:?a folder with a go.mod that requires k8s.io/kubernetes}"
WORK=$(mktemp -d /tmp/knarr-table-cells.XXXXXX)
trap 'rm -rf "$WORK"' EXIT
cp "$KUBERNETES_MODULE/go.mod" "$KUBERNETES_MODULE/go.sum" tests/interchange/table_cells/main.go "$WORK"
(cd "$WORK" && GOFLAGS=-mod=mod go build -o print .)
"$WORK/print" src/apiserver/testdata/tables.yaml > "$WORK/cells"
python3 - "$WORK/cells" "${1:-}" << 'P'
import json, sys
path = 'src/apiserver/testdata/tables.yaml'
lines = open(path).read().split('\n')
cells = [line for line in open(sys.argv[1]).read().split('\n') if line]
at, wrong = 0, 0
for i, line in enumerate(lines):
    if not line.startswith('- cells: '): continue
    expected = '- cells: ' + json.dumps(json.loads(cells[at]))
    at += 1
    if line == expected: continue
    wrong += 1
    print(lines[i + 1][:120], '\n  is  ', line, '\n  want', expected)
    lines[i] = expected
if sys.argv[2] == '--write': open(path, 'w').write('\n'.join(lines))
print(at, 'objects,', wrong, 'differ')
sys.exit(1 if wrong and sys.argv[2] != '--write' else 0)
P
