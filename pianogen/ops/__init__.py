"""One folder an operation: reference.py says in plain torch what is meant, fused.py is the same function made fast."""
