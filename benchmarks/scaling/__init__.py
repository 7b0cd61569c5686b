"""How training speed depends on the number of ranks: measured, and calculated for GPUs (docs/scaling.md)."""
