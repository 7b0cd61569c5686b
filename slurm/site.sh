# The only file with names of your cluster: source it once before sbatch, and every job sources it again.
#   . slurm/site.sh && sbatch slurm/train_attn.sh
# All of it is optional: by default the cluster's settings apply, and jobs use the project's .venv if there is one.

# For sbatch. These override the #SBATCH lines, and options on the command line override these.
# export SBATCH_PARTITION=gpu
# export SBATCH_ACCOUNT=my-project
# export SBATCH_QOS=normal
# export SBATCH_GPUS_PER_NODE=4

# Folders of shards and runs; relative paths start in the folder where sbatch is called.
# export PIANOGEN_SHARDS=/scratch/$USER/shards
# export PIANOGEN_RUNS=/scratch/$USER/runs

# Inside a job: the environment with pianogen installed, and the network between the ranks.
if [ -n "${SLURM_JOB_ID:-}" ] && [ -n "${project:-}" ]; then
  # module load python/3.11 cuda
  # export NCCL_SOCKET_IFNAME=ib0 GLOO_SOCKET_IFNAME=ib0
  if [ -f "$project/.venv/bin/activate" ]; then
    . "$project/.venv/bin/activate"
  fi
  # Or a container: the command that starts a program in it, or options of srun (pyxis). $project, shards and runs must
  # have the same paths inside.
  # container=(apptainer exec --nv --bind "$project,/scratch" "$HOME/pianogen.sif")
  # container=("--container-image=$HOME/pianogen.sqsh" "--container-mounts=$project:$project,/scratch:/scratch")
fi
