# Sourced by slurm_cluster.sh: slurm.conf, slurmdbd.conf and gres.conf in $dir.
#
# Delays are short, so that a requeue takes seconds. Nodes claim 8 CPUs, 8 GB and 4 GPUs whatever the machine has.
write_config() {
  local node host
  host=$(hostname -s)
  cat >"$dir/slurm.conf" <<CONF
ClusterName=pianogen
SlurmctldHost=$host($controller_address)
SlurmctldPort=$controller_port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# a requeued job waits until its old credential has expired: 120 s by default
AuthInfo=socket=$dir/munge/socket,cred_expire=10
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd.%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.%n.log
# no cgroups: nothing is enforced, and containers need nothing special
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
SlurmctldTimeout=30
SlurmdTimeout=60
KillWait=5
# as on many clusters: a step is ended so long after its first task, unless it asks otherwise
WaitTime=1
MinJobAge=900
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
# the job's own --signal is sent at preemption too, not only before the time limit
SlurmctldParameters=preempt_send_user_signal
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$database_port
AccountingStoragePass=$dir/munge/socket
AccountingStorageTRES=gres/gpu
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=60 PriorityTier=10 PreemptMode=REQUEUE GraceTime=20
PartitionName=urgent Nodes=ALL MaxTime=INFINITE DefaultTime=60 PriorityTier=100 PreemptMode=OFF
CONF
  for node in $(seq "$num_nodes"); do
    mkdir -p "$dir/spool/node$node"
    [ $network = loopback ] || host=node$node
    echo "NodeName=node$node NodeHostname=$host NodeAddr=${node_address[$node]} Port=${node_port[$node]}" \
      "CPUs=8 RealMemory=8000 Gres=gpu:4" >>"$dir/slurm.conf"
    # character devices: with plain files CUDA_VISIBLE_DEVICES would stay unset
    echo "NodeName=node$node Name=gpu File=$dir/dev/gpu[0-3]" >>"$dir/gres.conf"
  done
  for gpu in 0 1 2 3; do ln -s /dev/null "$dir/dev/gpu$gpu"; done
  cat >"$dir/slurmdbd.conf" <<CONF
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$database_port
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=10
SlurmUser=root
PidFile=$dir/run/slurmdbd.pid
LogFile=$dir/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct_db
CONF
  chmod 600 "$dir/slurmdbd.conf"
}
