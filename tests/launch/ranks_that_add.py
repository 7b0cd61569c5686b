"""A program for several ranks: they add their numbers up, and each says what it is."""

import sys

import torch
from accelerate import Accelerator

accelerator = Accelerator(cpu=not torch.cuda.is_available())
total = accelerator.reduce(torch.tensor([accelerator.process_index + 1.0], device=accelerator.device))
assert isinstance(total, torch.Tensor)
words = ("rank", accelerator.process_index, "of", accelerator.num_processes, "total", int(total.item()))
sys.stdout.write(" ".join(map(str, words)) + "\n")  # in one go, for several ranks write at once
sys.stdout.flush()
accelerator.end_training()
