"""One folder per operation: reference.py defines it in plain torch, fused.py computes the same faster."""
