#!/usr/bin/env bash
# The body of every batch script here: _run.sh SCRIPT ARGUMENTS.
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
container=() # site.sh may name one
. "$project/slurm/site.sh"
runs=${PIANOGEN_RUNS:-runs}
shards=${PIANOGEN_SHARDS:-$runs/shards}
part=()
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
  part=(--part "$SLURM_ARRAY_TASK_ID/${PIANOGEN_PARTS:-$SLURM_ARRAY_TASK_COUNT}")
fi

# One rank for each GPU of the job, or for each task where there are no GPUs.
run() {
  local gpus=${SLURM_GPUS_ON_NODE:-0} tasks=$SLURM_NTASKS_PER_NODE hosts
  local ranks=$((gpus > tasks ? gpus : tasks))
  local cpus=$((SLURM_CPUS_PER_TASK * tasks / ranks))
  cpus=$((cpus > 0 ? cpus : 1))
  hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
  # what the ranks share; _rank.sh adds what tells them apart
  export WORLD_SIZE=$((SLURM_JOB_NUM_NODES * ranks)) LOCAL_WORLD_SIZE=$ranks MASTER_ADDR=${hosts%%$'\n'*}
  export MASTER_PORT=$((10000 + SLURM_JOB_ID % 20000)) # below the ports that the kernel hands out
  # this checkout runs, whatever else is installed
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$cpus} PYTHONPATH=$project${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
  local options=(
    --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$WORLD_SIZE" --ntasks-per-node="$ranks"
    --cpus-per-task="$cpus"  # srun does not take it from sbatch
    --kill-on-bad-exit="${ends_others:-1}" # a rank that fails ends the job, unless they work independently
    --wait=0                 # but one that succeeds may exit before the others
  )
  # or --gpus-per-task would show each rank one GPU: each is to see its node's, and takes the one of its LOCAL_RANK
  unset SLURM_GPUS_PER_TASK SLURM_TRES_PER_TASK
  [ "$WORLD_SIZE" = 1 ] || options+=(--label)
  exec srun "${options[@]}" "${container[@]}" bash "$project/slurm/_rank.sh" python -P -m pianogen "$@"
}

# One process, even if the site gives every job several GPUs: further ranks would repeat its work.
run_one() {
  SLURM_JOB_NUM_NODES=1 SLURM_NTASKS_PER_NODE=1 SLURM_GPUS_ON_NODE=0 run "$@"
}

# Ranks that divide the pieces, then one process, which writes the page of all: no rank knows when the others are done.
# The tasks of an array leave the page to a later job.
run_divided() {
  local gpus=${SLURM_GPUS_ON_NODE:-0} ends_others=0
  if [ "${#part[@]}" = 0 ] && ((gpus > 1 || SLURM_JOB_NUM_NODES * SLURM_NTASKS_PER_NODE > 1)); then
    (run "$@")
    run_one "$@"
  else
    run "$@"
  fi
}

name=$1 model=${1#train_}
shift
case $name in
  train_*) run train --config "$project/configs/$model.yaml" --shards "$shards" --out "$runs/$model" "$@" ;;
  sweep) run sweep "${1:?usage: sbatch slurm/sweep.sh SPACE.yaml}" --shards "$shards" --out "$runs/sweep" "${@:2}" ;;
  reproduce) run_one reproduce --out "$runs/reproduce" --workers "$SLURM_CPUS_PER_TASK" "${part[@]}" "$@" ;;
  evaluate) run evaluate "$@" ;;
  generate) run_divided generate --out "${1:?usage: sbatch slurm/generate.sh RUN}/pieces" "${part[@]}" "$@" ;;
  shards) run_one shards --out "$shards" --workers "$SLURM_CPUS_PER_TASK" "${part[@]}" "$@" ;;
esac
