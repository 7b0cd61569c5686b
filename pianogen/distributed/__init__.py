"""The processes of one job: rendezvous, collectives, heartbeats, preemption and requeueing."""
