#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""etcd_layout.py: prints where values of one folder of keys differ in encoding or version, as they would had two servers laid them differently."""
import base64
import json
import subprocess


def fields(message):
    """The length-delimited fields of a protobuf message."""
    at, out = 0, {}

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(message):
        tag = varint()
        if tag & 7 == 2:
            size = varint()
            out[tag >> 3] = message[at:at + size]
            at += size
        else:
            varint()
    return out


def type_of(value):
    if value.startswith(b"k8s\0"):
        meta = fields(fields(value[4:])[1])
        return f"protobuf {meta[1].decode()} {meta[2].decode()}"
    document = json.loads(value)
    return f"json {document['apiVersion']} {document['kind']}"


def main():
    found = {}
    output = subprocess.run(["etcdctl", "get", "--prefix", "/registry/", "-w", "json"], capture_output=True, check=True, text=True).stdout
    for entry in json.loads(output)["kvs"]:
        key = base64.b64decode(entry["key"]).decode()
        parts = key.split("/")[2:]
        folder = "/".join(parts[:2]) if parts[0] == "services" or "." in parts[0] else parts[0]
        # These keys are the objects themselves.
        if parts[0] == "ranges":
            folder = key
        found.setdefault(folder, {}).setdefault(type_of(base64.b64decode(entry["value"])), key)
    for folder, types in sorted(found.items()):
        if len(types) > 1:
            print(folder, types)


if __name__ == "__main__":
    main()
