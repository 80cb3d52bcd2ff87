#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""object_diff.py A B: two lists of objects as `jq -S .items` leaves them; prints what differs, by kind and field, with one example each."""
import json
import re
import sys

# What servers write about themselves.
OWN = re.compile(r"^(Endpoints|EndpointSlice|Service)/default/kubernetes$|extension-apiserver-authentication$|^Lease/kube-system/apiserver-")


def load(path):
    objects = {}
    for item in json.load(open(path)):
        meta = item["metadata"]
        key = f"{item['kind']}/{meta.get('namespace', '')}/{meta['name']}"
        if not OWN.search(key):
            objects[(item["apiVersion"], key)] = item
    return objects


def compare(a, b, path, found):
    if isinstance(a, dict) and isinstance(b, dict):
        for name in sorted(a.keys() | b.keys()):
            compare(a.get(name), b.get(name), f"{path}.{name}", found)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for one, other in zip(a, b):
            compare(one, other, f"{path}[]", found)
    elif a != b:
        found.append((path, f"{json.dumps(a)[:150]} | {json.dumps(b)[:150]}"))


def main(a, b):
    first, second, lines = load(a), load(b), {}
    for key in sorted(first.keys() | second.keys()):
        kind = key[1].split("/")[0]
        found = []
        if key not in first or key not in second:
            found.append((" only in the " + ("first" if key in first else "second"), ""))
        else:
            compare(first[key], second[key], "", found)
        for path, example in found:
            lines.setdefault(kind + path, []).append(f"{key[1]}: {example}")
    for path, examples in sorted(lines.items())[:25]:
        print(f"{path} ({len(examples)}): {examples[0]}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
