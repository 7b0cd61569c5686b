#!/usr/bin/env bash
# A real Slurm cluster on this one machine, for as long as standard input stays open.
#   tests/cluster/slurm_cluster.sh FOLDER [NODES]      elsewhere: . FOLDER/env.sh; sinfo
# slurmctld, a slurmd for each of node1, node2 ..., slurmdbd and MariaDB, from Debian's packages (installed where
# missing; needs root). Every node has its own network where the kernel allows it, so that localhost is not the other
# node; FOLDER/network says which way it went. Prints `ready` when jobs can be submitted. At the end of its input, at
# Ctrl-C or when killed, all that it started is gone; logs stay in FOLDER/log.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() { echo "slurm_cluster.sh: $*" >&2; exit 1; }
[ $# -ge 1 ] || die "which folder? slurm_cluster.sh FOLDER [NODES]"
[ "$(id -u)" = 0 ] || die "needs root"
mkdir -p "$1"
dir=$(cd "$1" && pwd)
num_nodes=${2:-2}
[ -z "$(ls -A "$dir")" ] || die "$dir is not empty"
[ ${#dir} -le 80 ] || die "$dir is too long a path for the sockets in it"
export SLURM_CONF=$dir/slurm.conf

install_missing() {
  local pair missing=()
  for pair in slurmctld:slurmctld slurmd:slurmd sinfo:slurm-client munged:munge slurmdbd:slurmdbd \
    mariadbd:mariadb-server-core ip:iproute2; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >"$dir/log/apt.log" 2>&1 || true # a stale list may still have them
  apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" >>"$dir/log/apt.log" 2>&1 ||
    die "could not install ${missing[*]}; see $dir/log/apt.log"
}

# daemons are children of this shell, so their process ids are theirs until `wait`; they die with it even of SIGKILL
daemons=()
start() { # start NAME COMMAND...
  local name=$1
  shift
  setsid setpriv --pdeathsig TERM "$@" >>"$dir/log/$name.out" 2>&1 </dev/null &
  daemons=("$!" "${daemons[@]}")
}

wait_for() { # wait_for SECONDS WHAT COMMAND...
  local tenths=$(($1 * 10)) what=$2
  shift 2
  while ! timeout 5 "$@" >/dev/null 2>&1; do
    ((tenths-- > 0)) || die "$what did not come up: $(grep -hE 'error|fatal' "$dir"/log/* | tail -n 3)"
    sleep 0.1
  done
}

stop_jobs() {
  timeout 5 scancel --user="$(id -un)" 2>/dev/null || true
  for _ in $(seq 80); do
    [ -n "$(timeout 2 squeue -h 2>/dev/null)" ] || return 0
    sleep 0.1
  done
}

stop_daemons() {
  local pid
  for pid in "${daemons[@]}"; do
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 100); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
}

stop_stray_tasks() { # steps outlive their slurmd; the shells of people who sourced env.sh are left alone
  local pid
  for pid in $(grep -lzsxF -- "SLURM_CONF=$SLURM_CONF" /proc/[0-9]*/environ | cut -d/ -f3); do
    if grep -qzs '^SLURM_JOB_ID=' "/proc/$pid/environ" || grep -qs '^slurmstepd' "/proc/$pid/comm"; then
      kill -9 "$pid" 2>/dev/null || true
    fi
  done
}

down() {
  trap '' INT TERM HUP
  set +e
  [ ${#daemons[@]} -eq 0 ] || stop_jobs
  stop_daemons
  stop_stray_tasks
  remove_network
  rm -rf "$dir"/{db,state,spool}
}
trap down EXIT
trap 'exit 130' INT TERM HUP

mkdir "$dir"/{log,state,spool,run,munge,dev}
mkdir -m 700 "$dir/db"
install_missing
. "$here/slurm_network.sh"
. "$here/slurm_config.sh"
make_network
write_config
echo "export SLURM_CONF='$SLURM_CONF'" >"$dir/env.sh"

(umask 077 && head -c 128 /dev/urandom >"$dir/munge/key")
start munged munged --foreground --force --num-threads=4 --key-file="$dir/munge/key" --socket="$dir/munge/socket" \
  --pid-file="$dir/munge/pid" --log-file="$dir/log/munged.log" --seed-file="$dir/munge/seed"
wait_for 10 munged test -S "$dir/munge/socket"
# no grant tables and no network: the database is reached through a socket in a folder that only root may enter
start mariadbd mariadbd --no-defaults --user=root --skip-grant-tables --skip-networking --datadir="$dir/db" \
  --socket="$dir/db/socket" --pid-file="$dir/run/mariadbd.pid" --performance-schema=OFF \
  --innodb-buffer-pool-size=64M --innodb-log-file-size=16M --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0
wait_for 60 mariadbd test -S "$dir/db/socket"
MYSQL_UNIX_PORT=$dir/db/socket start slurmdbd slurmdbd -D
wait_for 60 slurmdbd sacctmgr -n list cluster
start slurmctld slurmctld -D
wait_for 60 slurmctld scontrol ping
for node in $(seq "$num_nodes"); do
  start "slurmd.node$node" "$here/slurm_node.sh" "$node" "$dir"
done
all_idle() { [ "$(sinfo -h -N -t idle -o %N | sort -u | wc -l)" = "$num_nodes" ]; }
for _ in $(seq 600); do
  ! all_idle || break
  sleep 0.1
done
all_idle || die "not all nodes came up: $(sinfo -N -o '%N %T %E' | tr '\n' ' ')"
echo ready
while read -r _; do :; done
