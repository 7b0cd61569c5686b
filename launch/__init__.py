"""Runs onto a cluster, from Python: `pianogen submit`, through submitit."""
