#!/usr/bin/env bash
# One node's slurmd, in its own network, host name and hosts file where slurm_cluster.sh made them.
#   slurm_node.sh NUMBER FOLDER
set -euo pipefail
name=node$1 dir=$2
if [ "$(cat "$dir/network")" = loopback ]; then
  exec slurmd -D -N "$name"
fi
exec nsenter --net="/run/netns/$(cat "$dir/bridge")-$name" unshare --mount --uts bash -c '
  mount --bind "$1/hosts" /etc/hosts
  mount --bind "$1/resolv.conf" /etc/resolv.conf
  hostname "$0"
  exec slurmd -D -N "$0"' "$name" "$dir"
