"""One folder per operation: reference.py defines it in plain torch; native.py and the GPU's form compute the same."""
