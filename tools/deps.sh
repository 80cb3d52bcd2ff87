#!/bin/sh
# Installs the Debian 12 / Ubuntu 24.04 packages that knarr needs. Quick when all are there.
set -eu
packages="g++ cmake ninja-build mold ccache python3
  libboost1.81-dev libnghttp2-dev libssl-dev liblmdb-dev libyaml-dev libfmt-dev libspdlog-dev libabsl-dev
  libcli11-dev libre2-dev libmimalloc-dev zlib1g-dev libgtest-dev libgmock-dev libbenchmark-dev
  containerd runc containernetworking-plugins iptables nftables conntrack iproute2 busybox-static curl openssl
  etcd-server tzdata bind9-dnsutils"
# The codec vectors are fetched as a Go module; any Go will do.
command -v go > /dev/null || packages="$packages golang-go"
missing=
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
[ "$(id -u)" = 0 ] || { echo "knarr needs these packages; run as root, or: apt-get install$missing" >&2; exit 1; }
echo "Installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q > /dev/null
# containerd must not come up as a service of its own: knarr starts the one it uses.
# shellcheck disable=SC2086
apt-get install -y -q --no-install-recommends $missing > /dev/null
