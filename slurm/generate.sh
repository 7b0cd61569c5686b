#!/usr/bin/env bash
# Write pieces with a trained model; arguments go to `pianogen generate`, where later ones win.
#   sbatch slurm/generate.sh runs/attn --num 8
#   sbatch --gpus-per-node=4 slurm/generate.sh runs/attn runs/lstm --prompt FOLDER --num_seeds 3 --out runs/pieces
#   job=$(sbatch --parsable --array=0-7 slurm/generate.sh ...) && sbatch --dependency=afterok:$job slurm/generate.sh ...
# Writes to RUN/pieces. The ranks divide the pieces: one rank per GPU, or per task without GPUs (--ntasks-per-node=4
# --cpus-per-task=2). In the third form each of eight tasks makes an eighth, and one job then writes the page of all.
# Submitted again, it makes what is missing. A failed task alone: PIANOGEN_PARTS=8 sbatch --array=3 slurm/generate.sh ...
#SBATCH --job-name=pianogen-generate
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
# a requeued job appends to its log
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail
# Slurm runs a copy of this script from its spool folder; the job's record has the path of the original
script=$(scontrol show job "${SLURM_JOB_ID:?submit it: sbatch slurm/generate.sh RUN}" | sed -n 's/^ *Command=//p')
exec bash "${script%%/generate.sh*}/_run.sh" generate "$@"
