#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lint.py: the rules that no compiler checks. Prints one line a finding; exits 1 when there is one.

- layers: a module includes only modules below it (order of ARCHITECTURE.md);
- header costs: heavy library headers stay in .cc files;
- coroutines: no lambda is a coroutine (g++ 12 miscompiles captures);
- sizes: a source file stays under 1,000 lines, with a licence line;
- documents: every path that README.md, ARCHITECTURE.md and CONTRIBUTING.md name in backquotes exists.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Each module, and what it may include beside itself. base knows nothing; components meet through client/ only.
LAYERS = {
    "base": set(), "net": {"base"}, "schema": {"base"}, "pki": {"base"}, "store": {"base"}, "quota": {"base", "schema"},
    "cel": {"base", "schema"}, "trace": {"base", "net", "schema"},
    "client": {"base", "net", "schema"}, "etcd": {"base", "net", "schema", "store"},
    "apiserver": {"base", "net", "schema", "pki", "store", "client", "quota", "cel", "trace"},
    "controller": {"base", "net", "schema", "pki", "client", "quota"},
    "scheduler": {"base", "net", "schema", "client", "trace"},
    "kubelet": {"base", "net", "schema", "pki", "client", "trace"},
    "proxy": {"base", "net", "schema", "client"},
    "dns": {"base", "net", "schema", "client"},
    "flannel": {"base", "net", "schema", "client"},
    "kubeadm": {"base", "net", "schema", "pki", "client"},
    "cmd": {"base", "net", "schema", "pki", "store", "etcd", "client", "apiserver", "controller", "scheduler", "kubelet", "proxy", "dns", "flannel",
            "kubeadm", "trace"},
}
HEAVY = re.compile(r'#include <(boost/beast|boost/asio/(?!awaitable|any_io_executor)|boost/asio\.hpp|openssl/|spdlog/|fmt/format|CLI/|regex>|'
                   r'iostream>|nghttp2/|lmdb\.h|simdjson|yaml\.h|re2/)')
LAMBDA_COROUTINE = re.compile(r'\][^;{}]*->\s*(?:knarr::)?Task<[^{;]*\{')
# A wrapper module's private headers may show the library that it wraps; these are light ones.
WRAPPERS = {"net": ("openssl/", "nghttp2/"), "store": ("lmdb.h",), "pki": ("openssl/",), "cmd": ("CLI/",)}
MAX_LINES = 1000


def findings():
    files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.cc", "*.h", "*.py", "*.sh"],
                           cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in files:
        path = ROOT / name
        if not path.exists():
            continue
        text = path.read_text(errors="replace")
        lines = text.count("\n")
        if name.endswith((".cc", ".h")):
            if lines > MAX_LINES:
                yield f"{name}: {lines} lines; find the seam"
            if "SPDX-License-Identifier" not in text[:200] and name != "cmake/pch.h":
                yield f"{name}: no SPDX line"
        if name.startswith("src/") and name.endswith((".cc", ".h")):
            module = name.split("/")[1]
            is_test = re.search(r"_(test|fuzz|bench|main)\.cc$|test_|fuzz_|_suite\.h$|model_check|/testing/", name)
            for included in re.findall(r'#include "([a-z_]+)/', text):
                if included in LAYERS and included != module and included not in LAYERS.get(module, set()) and not is_test:
                    yield f"{name}: {module}/ may not include {included}/"
            if name.endswith(".h") and not is_test and (found := HEAVY.search(text)) and \
                    found.group(1) not in WRAPPERS.get(module, ()):
                yield f"{name}: {found.group(0)}: heavy header outside a .cc"
            for match in LAMBDA_COROUTINE.finditer(text):
                body = text[match.end():match.end() + 4000]
                depth, end = 1, 0
                for end, char in enumerate(body):
                    depth += (char == "{") - (char == "}")
                    if depth == 0:
                        break
                if re.search(r"\bco_(await|return|yield)\b", body[:end]) and not match.group(0).startswith("[]"):
                    line = text.count("\n", 0, match.start()) + 1
                    head = text[max(0, match.start() - 200):match.start() + 1]
                    if not head.rstrip().endswith("[]"):
                        yield f"{name}:{line}: a capturing lambda may not be a coroutine"
    for document in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"):
        if not (ROOT / document).exists():
            yield f"{document}: missing"
            continue
        for path in re.findall(r"`((?:src|api|tools|tests|bench|docs|cmake|\.ci)/[A-Za-z0-9_./-]*)`", (ROOT / document).read_text()):
            if not (ROOT / path).exists():
                yield f"{document}: names {path}, which does not exist"


def main():
    found = sorted(set(findings()))
    print("\n".join(found) if found else "lint: nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
