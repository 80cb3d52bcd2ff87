#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""normalize.py text|objects|kubeconfig|certificate < IN > OUT: what differs from run to run is replaced by its kind, so that two runs can be compared.

text:        what kubeadm prints. Times, hashes, random names and the heads of klog's lines go.
objects:     a List from `kubectl get -o json`; identities, times and what others than kubeadm wrote go.
kubeconfig:  embedded certificates become what they say, keys become their kind.
certificate: PEM becomes subject, issuer, names, usages, algorithm and days.
"""
import base64
import json
import re
import subprocess
import sys


def certificate(pem):
    shown = subprocess.run(["openssl", "x509", "-noout", "-subject", "-issuer", "-dates", "-ext",
                            "subjectAltName,keyUsage,extendedKeyUsage,basicConstraints,subjectKeyIdentifier,authorityKeyIdentifier"],
                           input=pem, capture_output=True, text=True).stdout
    text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=pem, capture_output=True, text=True).stdout
    dates = {}
    lines = []
    for line in shown.splitlines():
        if match := re.match(r"(notBefore|notAfter)=(.*)", line):
            seconds = subprocess.run(["date", "-d", match[2], "+%s"], capture_output=True, text=True).stdout
            dates[match[1]] = int(seconds)
        elif re.fullmatch(r"\s*([0-9A-F]{2}:)+[0-9A-F]{2}\s*", line):
            lines.append("    KEY-ID")
        else:
            lines.append(line.rstrip())
    algorithm = re.search(r"Signature Algorithm: (\S+)", text)[1], re.search(r"Public-Key: (.*)", text)[1]
    # Extensions in an order of their own: Go's and OpenSSL's differ. The life in hours: upstream's leaves begin when their CA does.
    parts = re.split(r"\n(?=X509v3)", "\n".join(lines))
    return "\n".join([parts[0], *sorted(parts[1:])]) + f"\nhours={round((dates['notAfter'] - dates['notBefore']) / 3600)} algorithm={algorithm}\n"


def text(raw):
    raw = re.sub(r"(?m)^([WIE])\d{4} [\d:.]+ +\d+ [\w.-]+:\d+\] ", r"\1 ", raw)
    raw = re.sub(r"after \d+\.\d+ seconds", "after N seconds", raw)
    raw = re.sub(r"sha256:[0-9a-f]{64}", "sha256:HASH", raw)
    raw = re.sub(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b", "TOKEN", raw)
    raw = re.sub(r"\b[0-9a-f]{64}\b", "KEY", raw)
    raw = re.sub(r"dryrun\w+", "dryrunN", raw)
    raw = re.sub(r"expiration: \S+", "expiration: TIME", raw)
    raw = re.sub(r"\b[A-Z][a-z]{2} \d\d, (\d{4}) \d\d:\d\d UTC", r"DAY \1 UTC", raw)
    raw = re.sub(r"20\d\d-\d\d-\d\dT[\d:]+Z", "TIME", raw)
    # A kubeadm built with a newer Go than upstream's trips over its own URL of this check.
    raw = re.sub(r"(?m)^.*invalid IP-literal\n", "", raw)
    return re.sub(r"certificate-authority-data: \S+", "certificate-authority-data: CA", raw)


def kubeconfig(raw):
    out = []
    for line in raw.splitlines():
        match = re.match(r"(\s*)(\S+-data): (\S+)$", line)
        if not match:
            out.append(line)
            continue
        data = base64.b64decode(match[3]).decode()
        shown = data.splitlines()[0] if "PRIVATE KEY" in data else certificate(data).strip()
        out.append(f"{match[1]}{match[2]}: |")
        out += [f"{match[1]}  {part}" for part in shown.splitlines()]
    return "\n".join(out) + "\n"


def objects(raw):
    volatile = {"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink"}
    kept = []
    for item in json.loads(raw)["items"]:
        meta = item["metadata"]
        for key in volatile:
            meta.pop(key, None)
        for owner in meta.get("ownerReferences", []):
            owner.pop("uid", None)
        item.pop("status", None)
        meta.get("annotations", {}).pop("deprecated.daemonset.template.generation", None)
        meta.get("annotations", {}).pop("deployment.kubernetes.io/revision", None)
        meta.get("annotations", {}).pop("node.alpha.kubernetes.io/ttl", None)
        if not meta.get("annotations", True):
            meta.pop("annotations")
        if meta["name"] == "kube-root-ca.crt":
            continue
        if item["kind"] == "Node":
            # Of a node kubeadm writes labels, taints and an annotation; the address of its pods and the rest are others'.
            item["spec"] = {"taints": [t for t in item["spec"].get("taints", []) if "not-ready" not in t["key"]]}
        for key, value in item.get("data", {}).items():
            if item["kind"] == "Secret":
                value = base64.b64decode(value or "").decode("latin-1")
                if meta["name"] == "kubeadm-certs":
                    value = "SEALED"
            if key == "expiration":
                value = "TIME"
            if key.startswith("jws-kubeconfig-"):
                value = "SIGNATURE"
            if "BEGIN CERTIFICATE" in value:
                value = "CERTIFICATE"
            item["data"][key] = text(value)
        kept.append(item)
    kept.sort(key=lambda i: (i["kind"], i["metadata"].get("namespace", ""), i["metadata"]["name"]))
    return "".join(json.dumps(item, indent=1, sort_keys=True) + "\n" for item in kept)


if __name__ == "__main__":
    sys.stdout.write({"text": text, "objects": objects, "kubeconfig": kubeconfig, "certificate": certificate}[sys.argv[1]](sys.stdin.read()))
