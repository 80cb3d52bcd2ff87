#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# images.sh: the images that the official suite's pods use, under upstream's names, into $KNARR_KIT/images (two minutes, once).
#
# They are stand-ins made of Debian packages and of the programs of build.sh, so that no image registry is needed: what the tests look at
# (programs, their output, users, files) is as in the originals. The pause image ships with knarr.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=v1.28.4
KNARR_KIT=${KNARR_KIT:-/var/cache/knarr-kit/$version}
out=$KNARR_KIT/images
bin=$KNARR_KIT/bin
names="busybox_1.29-4 busybox_1.29-2 agnhost_2.45 kitten_1.7 nautilus_1.7 nginx_1.14-4 nginx_1.15-4 httpd_2.4.38-4 httpd_2.4.39-4
  jessie-dnsutils_1.7 nonroot_1.4 sample-apiserver_1.17.7 nonewprivs_1.3"
complete() {
  [ -f "$out/registry.k8s.io_etcd_3.5.9-0.tar" ] || return 1
  for name in $names; do [ -f "$out/registry.k8s.io_e2e-test-images_$name.tar" ] || return 1; done
}
if complete; then exit 0; fi

packages=
for need in mmdebstrap:mmdebstrap bash-static:bash-static busybox:busybox-static; do
  command -v "${need%:*}" > /dev/null || packages="$packages ${need#*:}"
done
# shellcheck disable=SC2086
[ -z "$packages" ] || DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages > /dev/null

mkdir -p "$out"
work=$(mktemp -d "$KNARR_KIT/images.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "making a Debian root file system for the images"
mmdebstrap --quiet --variant=minbase bookworm "$work/debian.tar" \
  --include=apache2,bind9-dnsutils,ca-certificates,curl,etcd-client,etcd-server,iproute2,iptables,iputils-ping,netcat-openbsd,nginx-light,procps,wget
upstream=$(cd "$KNARR_KIT/src/kubernetes" 2> /dev/null || cd "$work"; go mod download -json "k8s.io/kubernetes@$version" | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')

image() { # NAME:TAG CONFIG ENTRIES...
  local name=$1 file
  shift
  file=$out/$(echo "$name" | tr '/:' '__').tar
  [ -f "$file" ] && return
  echo "making $name"
  python3 tools/make-image.py "$work/image.tar" "$name" "$@"
  mv "$work/image.tar" "$file"
}
text() { printf '%b' "$2" > "$work/$1"; echo "$work/$1"; } # FILE TEXT
e2e=registry.k8s.io/e2e-test-images
debian=+$work/debian.tar

# busybox. Its shell is bash: ash drops environment variables whose names are no identifiers, which some tests print.
busybox=$(command -v busybox)
links=$("$busybox" --list | grep -vx -e busybox -e sh -e bash | sed 's|.*|bin/&@/bin/busybox|')
small="bin/ tmp/ etc/ root/ usr/ bin/busybox=$busybox bin/bash=$(command -v bash-static) bin/sh@/bin/bash $links
  etc/passwd=$(text small.passwd 'root:x:0:0:root:/root:/bin/sh\n') etc/group=$(text small.group 'root:x:0:\n')"
# shellcheck disable=SC2086
for tag in 1.29-4 1.29-2; do image $e2e/busybox:$tag '{"Cmd":["sh"]}' $small; done
# shellcheck disable=SC2086
image $e2e/nonroot:1.4 '{"User":"1234","Cmd":["sh"]}' $small

# agnhost, with the users that tests of security contexts name.
tar -xOf "$work/debian.tar" ./etc/passwd > "$work/passwd"
echo 'user-defined-in-image:x:1000:1000::/:/bin/sh' >> "$work/passwd"
tar -xOf "$work/debian.tar" ./etc/group > "$work/group"
printf 'user-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n' >> "$work/group"
agnhost=(agnhost="$bin/agnhost" agnhost-2@agnhost uploads/ coredns="$bin/coredns" localhost.crt="$upstream/test/images/agnhost/porter/localhost.crt"
  localhost.key="$upstream/test/images/agnhost/porter/localhost.key" etc/passwd="$work/passwd" etc/group="$work/group")
image $e2e/agnhost:2.45 '{"Entrypoint":["/agnhost"],"Cmd":["pause"]}' "$debian" "${agnhost[@]}"
for pet in kitten nautilus; do
  pages=()
  for page in "$upstream/test/images/$pet/html"/*; do pages+=("$(basename "$page")=$page"); done
  image $e2e/$pet:1.7 '{"Entrypoint":["/agnhost"],"Cmd":["test-webserver"]}' "$debian" "${agnhost[@]}" "${pages[@]}"
done

# Web servers, a resolver, and the programs that single tests start.
for tag in 1.14-4 1.15-4; do
  image $e2e/nginx:$tag '{"Cmd":["nginx","-g","daemon off;"]}' "$debian" \
    "usr/share/nginx/html/index.html=$(text nginx.html '<title>Welcome to nginx!</title>\n')"
done
# Some probes need a shell that knows [[, as the original's does.
text foreground '#!/bin/sh\nexec apache2ctl -DFOREGROUND "$@"\n' > /dev/null
for tag in 2.4.38-4 2.4.39-4; do
  image $e2e/httpd:$tag '{"Cmd":["httpd-foreground"]}' "$debian" usr/local/apache2/ usr/local/apache2/htdocs/ \
    "usr/local/apache2/htdocs/index.html=$(text httpd.html '<html><body><h1>It works!</h1></body></html>\n')" \
    "usr/local/bin/httpd-foreground:755=$work/foreground" "var/www/html/index.html=$work/httpd.html" usr/bin/sh@bash
done
image $e2e/jessie-dnsutils:1.7 '{"Cmd":["sleep","1000000"]}' "$debian"
image $e2e/sample-apiserver:1.17.7 '{"Entrypoint":["/sample-apiserver","--feature-gates=APIPriorityAndFairness=false"]}' "$debian" \
  sample-apiserver="$bin/sample-apiserver"
image $e2e/nonewprivs:1.3 '{"Cmd":["nnp"]}' "$debian" usr/local/bin/nnp:4755="$bin/nnp"
etcd=(usr/local/bin/etcd@/usr/bin/etcd)
[ ! -x "$bin/etcd" ] || etcd=(usr/local/bin/etcd="$bin/etcd")
image registry.k8s.io/etcd:3.5.9-0 '{"Cmd":["etcd"]}' "$debian" "${etcd[@]}"
