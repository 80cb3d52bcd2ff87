#!/bin/sh
# make-demo-image.sh OUT.tar: docker.io/knarr/demo:1.0, busybox with its commands as links and a page for its web server.
set -eu
here=$(dirname "$0")
busybox=$(command -v busybox)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '<html><body><h1>knarr sails</h1></body></html>\n' > "$work/index.html"
printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' > "$work/passwd"
printf 'root:x:0:\nnobody:x:65534:\n' > "$work/group"
links=$("$busybox" --list | grep -vx busybox | sed 's|.*|bin/&@/bin/busybox|')
# shellcheck disable=SC2086
python3 "$here/make-image.py" "$1" docker.io/knarr/demo:1.0 \
  '{"Cmd":["httpd","-f","-p","8080","-h","/www"],"ExposedPorts":{"8080/tcp":{}}}' \
  bin/ etc/ tmp/ www/ "bin/busybox=$busybox" $links "www/index.html=$work/index.html" "etc/passwd=$work/passwd" "etc/group=$work/group"
