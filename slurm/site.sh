# The only file with names of your cluster: source it once before sbatch, and every job sources it again.
#   . slurm/site.sh && sbatch slurm/train_attn.sh
# Nothing here is needed: without it the cluster's own defaults hold, and jobs use the project's .venv if there is one.

# For sbatch. These win over the #SBATCH lines, and options on the command line win over these.
# export SBATCH_PARTITION=gpu
# export SBATCH_ACCOUNT=my-project
# export SBATCH_QOS=normal
# export SBATCH_GPUS_PER_NODE=4

# Where shards and runs lie; relative paths begin where sbatch is called.
# export PIANOGEN_SHARDS=/scratch/$USER/shards
# export PIANOGEN_RUNS=/scratch/$USER/runs

# Inside a job: the environment with pianogen installed, and which network the ranks talk over.
if [ -n "${SLURM_JOB_ID:-}" ] && [ -n "${project:-}" ]; then
  # module load python/3.11 cuda
  # export NCCL_SOCKET_IFNAME=ib0 GLOO_SOCKET_IFNAME=ib0
  if [ -f "$project/.venv/bin/activate" ]; then
    . "$project/.venv/bin/activate"
  fi
  # Or a container with it: what starts a program there, or what srun is told (pyxis). Inside, $project, shards and runs
  # must lie where they lie outside.
  # container=(apptainer exec --nv --bind "$project,/scratch" "$HOME/pianogen.sif")
  # container=("--container-image=$HOME/pianogen.sqsh" "--container-mounts=$project:$project,/scratch:/scratch")
fi
