#!/bin/sh
# clean.sh DATA_DIR: ends what a stopped `knarr up` left running (pods outlive it by design) and removes its directory.
set -u
data=$1
for shim in $(pgrep -f "containerd-shim.* -address $data/containerd/containerd.sock"); do
  # The shim's children are the pod's processes; killing them ends the shim.
  pkill -9 -P "$shim" 2> /dev/null
  kill -9 "$shim" 2> /dev/null
done
grep -o " $data/[^ ]*" /proc/mounts | sort -r | xargs -r -n1 umount -l 2> /dev/null
ip link del knarr0 2> /dev/null
rm -rf "$data"
