#!/usr/bin/env bash
# Turn MAESTRO, or a folder of music, into shards; arguments go to `pianogen shards`, where later ones win.
#   sbatch slurm/shards.sh maestro --archive maestro-v3.0.0-midi.zip
#   job=$(sbatch --parsable --array=0-7 slurm/shards.sh FOLDER) && sbatch --dependency=afterok:$job slurm/shards.sh FOLDER
# Writes to $PIANOGEN_SHARDS (by default runs/shards). In the second form each of eight tasks reads an eighth of the files,
# and one job then writes the shards. A failed task alone: PIANOGEN_PARTS=8 sbatch --array=3 slurm/shards.sh FOLDER
#SBATCH --job-name=pianogen-shards
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
script=$(scontrol show job "${SLURM_JOB_ID:?submit it: sbatch slurm/shards.sh}" | sed -n 's/^ *Command=//p')
exec bash "${script%%/shards.sh*}/_run.sh" shards "$@"
