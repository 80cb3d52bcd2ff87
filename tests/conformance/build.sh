#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build.sh [peers]: upstream's programs of Kubernetes v1.28.4, from their Go modules, into $KNARR_KIT/bin. What is there is not built again.
#
# Without arguments what the official suite needs: e2e.test, ginkgo, kubectl, and agnhost, coredns and sample-apiserver for its pods' images.
# "peers" adds the components that interchange tests and benchmarks run ours against. Needs Go 1.20 or later, the Go module proxy, and on two
# cores a quarter of an hour (half an hour with the peers).
set -euo pipefail
version=v1.28.4
export KNARR_KIT=${KNARR_KIT:-/var/cache/knarr-kit/$version}
bin=$KNARR_KIT/bin
suite=(kubectl ginkgo e2e.test agnhost nnp coredns sample-apiserver)
peers=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubeadm)
wanted=("${suite[@]}")
[ "${1:-}" != peers ] || wanted+=("${peers[@]}")

missing=()
for program in "${wanted[@]}"; do [ -x "$bin/$program" ] || missing+=("$program"); done
if [ "${1:-}" = peers ] && [ ! -x "$bin/etcd" ] && ! command -v etcd > /dev/null; then missing+=(etcd); fi
[ ${#missing[@]} -gt 0 ] || exit 0

command -v go > /dev/null || { echo "build.sh: missing ${missing[*]} in $bin, and no Go to build them with" >&2; exit 1; }
minor=$(go env GOVERSION | sed -E 's/^go1\.([0-9]+).*/\1/')
[ "$minor" -ge 20 ] || { echo "build.sh: Kubernetes $version needs Go 1.20 or later, this is $(go env GOVERSION)" >&2; exit 1; }
export CGO_ENABLED=0 GOFLAGS=-mod=mod GOTOOLCHAIN=local
mkdir -p "$bin" "$KNARR_KIT/src"

# Kubernetes' own go.mod takes its libraries from folders beside it, which its module does not carry: the same list, with published versions.
kubernetes_module() {
  local folder=$KNARR_KIT/src/kubernetes source
  mkdir -p "$folder"
  cd "$folder"
  [ -f main.go ] && return
  source=$(go mod download -json "k8s.io/kubernetes@$version" | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
  go mod edit -json "$source/go.mod" | python3 -c '
import json, sys
version = sys.argv[1]
library = "v0" + version[2:]
upstream = json.load(sys.stdin)
print("module knarr.dev/kit\n\ngo 1.20\n\nrequire k8s.io/kubernetes", version)
for need in upstream["Require"]:
    print("require", need["Path"], library if need["Version"] == "v0.0.0" else need["Version"])
for replace in upstream["Replace"]:
    if replace["New"]["Path"].startswith("./staging/"):
        print("replace", replace["Old"]["Path"], "=>", replace["Old"]["Path"], library)
' "$version" > go.mod
  install -m 644 "$source/go.sum" go.sum
  printf '//go:build kit\n\npackage kit\n\nimport _ "k8s.io/kubernetes/cmd/kubectl"\n' > main.go
}

stamp="-s -w -X k8s.io/component-base/version.gitVersion=$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=28"
quietly() { "$@" 2> >(grep -vE '^go: (downloading|added|upgraded)' >&2); }
kubernetes() { # PROGRAM PACKAGE
  (kubernetes_module; quietly go build -ldflags "$stamp" -o "$bin/$1" "$2")
}
# A program of another module, built in a module of its own: PROGRAM MODULE VERSION PACKAGE
other() {
  (
    mkdir -p "$KNARR_KIT/src/$1"
    cd "$KNARR_KIT/src/$1"
    printf 'module knarr.dev/kit\n\ngo 1.20\n' > go.mod
    printf '//go:build kit\n\npackage kit\n\nimport _ "%s"\n' "$4" > main.go
    quietly go get "$2@$3"
    quietly go build -ldflags '-s -w' -o "$bin/$1" "$4"
  )
}

for program in "${missing[@]}"; do
  echo "building $program"
  case $program in
    ginkgo) kubernetes ginkgo github.com/onsi/ginkgo/v2/ginkgo;;
    e2e.test) (kubernetes_module; quietly go test -c -ldflags "$stamp" -o "$bin/e2e.test" k8s.io/kubernetes/test/e2e);;
    agnhost) kubernetes agnhost k8s.io/kubernetes/test/images/agnhost;;
    nnp) kubernetes nnp k8s.io/kubernetes/test/images/nonewprivs;;
    coredns) other coredns github.com/coredns/coredns v1.11.1 github.com/coredns/coredns;;
    sample-apiserver) other sample-apiserver k8s.io/sample-apiserver "v0${version#v1}" k8s.io/sample-apiserver;;
    etcd) other etcd go.etcd.io/etcd/server/v3 v3.5.16 go.etcd.io/etcd/server/v3;;
    # The kubelet and kube-proxy use netlink and cgroups through cgo.
    kubelet | kube-proxy) CGO_ENABLED=1 kubernetes "$program" "k8s.io/kubernetes/cmd/$program";;
    *) kubernetes "$program" "k8s.io/kubernetes/cmd/$program";;
  esac
done
