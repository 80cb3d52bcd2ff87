#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tools/make-images.sh BUILD [REPOSITORY]: container images that hold this build under upstream's names, as archives in BUILD/share/knarr/images-kubeadm,
# for `ctr -n k8s.io images import` or `knarr image load`. One program serves them all, so they share one layer: the stripped binary and the
# shared libraries that it needs, copied from this machine. kube-proxy has iptables and conntrack on top, flannel (of deploy/kube-flannel.yml) its CNI
# plugin and `cp` besides. etcd is the real one: $KNARR_ETCD, else the machine's.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "${1:-build}") repository=${2:-registry.k8s.io} version=${KUBE_VERSION:-v1.28.4}
out=$build/share/knarr/images-kubeadm work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

# A program or library with all that it is linked to, at the places where the loader looks.
add_with_libraries() { # ROOT FILE TARGET
  mkdir -p "$1/$(dirname "$3")"
  cp -L "$2" "$1/$3"
  # A static program has none.
  { ldd "$2" 2> /dev/null || true; } | { grep -o '/[^ ]*' || true; } | while read -r library; do
    # Debian's /lib is a link to /usr/lib; the loader's own path is fixed in every program.
    case $library in /lib64/*) target=$library ;; *) target=/usr${library#/usr} ;; esac
    [ -e "$1$target" ] || { mkdir -p "$1$(dirname "$target")"; cp -L "$library" "$1$target"; }
  done
}
pack() { tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$1" -cf "$2" .; }

base=$work/base
mkdir -p "$base"/{etc,tmp,var,run,usr/local/bin,usr/lib}
ln -s usr/lib "$base/lib"
chmod 1777 "$base/tmp"
printf 'root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n' > "$base/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' > "$base/etc/group"
printf 'hosts: files dns\n' > "$base/etc/nsswitch.conf"
strip -o "$work/knarr" "$build/bin/knarr"
add_with_libraries "$base" "$work/knarr" usr/local/bin/knarr
for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do ln -s knarr "$base/usr/local/bin/$name"; done
ln -s usr/local/bin/knarr "$base/coredns"
mkdir -p "$base/opt/bin"
ln -s /usr/local/bin/knarr "$base/opt/bin/flanneld"
pack "$base" "$work/base.tar"

archive() { # FULL_NAME ENTRYPOINT_JSON LAYER...
  local name=$1 entry=$2 file
  file=$out/$(tr '/:' '__' <<< "$name").tar
  shift 2
  python3 tools/make-image.py "$file" "$name" "{\"Entrypoint\":$entry}" "$@"
}
image() { local name=$1; shift; archive "$repository/$name" "$@"; }
for name in kube-apiserver kube-controller-manager kube-scheduler; do image "$name:$version" "[\"/usr/local/bin/$name\"]" "+$work/base.tar"; done
# registry.k8s.io has a folder for coredns, other registries have not.
dns=coredns
[ "$repository" != registry.k8s.io ] || dns=coredns/coredns
image "$dns:v1.10.1" '["/coredns"]' "+$work/base.tar"

tools=$work/tools
mkdir -p "$tools"
for program in iptables ip6tables iptables-save ip6tables-save iptables-restore ip6tables-restore conntrack ip nft; do
  path=$(command -v $program) || continue
  real=$(readlink -f "$path")
  add_with_libraries "$tools" "$real" "usr/sbin/$(basename "$real")"
  [ "$(basename "$real")" = $program ] || ln -sf "$(basename "$real")" "$tools/usr/sbin/$program"
done
if modules=$(find /usr/lib -maxdepth 2 -name xtables -type d | head -1) && [ -n "$modules" ]; then
  mkdir -p "$tools$modules"
  cp "$modules"/*.so "$tools$modules/"
fi
pack "$tools" "$work/tools.tar"
image "kube-proxy:$version" '["/usr/local/bin/kube-proxy"]' "+$work/base.tar" "+$work/tools.tar"

flannel=$work/flannel
mkdir -p "$flannel"
add_with_libraries "$flannel" "$(command -v cp)" usr/bin/cp
cp "$build/flannel" "$flannel/flannel"
pack "$flannel" "$work/flannel.tar"
archive docker.io/knarr/flannel:v0.24.0 '["/opt/bin/flanneld"]' "+$work/base.tar" "+$work/tools.tar" "+$work/flannel.tar"

if etcd=${KNARR_ETCD:-$(command -v etcd)} && [ -n "$etcd" ]; then
  etcd_root=$work/etcd
  mkdir -p "$etcd_root/var/lib/etcd"
  add_with_libraries "$etcd_root" "$etcd" usr/local/bin/etcd
  ctl=$(dirname "$etcd")/etcdctl
  [ ! -x "$ctl" ] || add_with_libraries "$etcd_root" "$ctl" usr/local/bin/etcdctl
  [ -e "$etcd_root/lib" ] || ln -s usr/lib "$etcd_root/lib"
  pack "$etcd_root" "$work/etcd.tar"
  image etcd:3.5.9-0 '["/usr/local/bin/etcd"]' "+$work/etcd.tar"
else
  echo "make-images.sh: no etcd here (KNARR_ETCD=...): its image is left out" >&2
fi
image pause:3.9 '["/pause"]' "pause=$build/pause"
du -ch "$out"/*.tar
