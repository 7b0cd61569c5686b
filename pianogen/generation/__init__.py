"""Pieces from a trained model: sampling in batches, prompts, and the job that writes them to a folder."""

from pianogen.generation.jobs import generate, generate_pieces
from pianogen.generation.limits import Limits, plan_limits
from pianogen.generation.prompt import Prompt, read_prompt
from pianogen.generation.remote import generate_at
from pianogen.generation.sampler import Request, Sample, sample, sample_each

__all__ = [
    "Limits",
    "Prompt",
    "Request",
    "Sample",
    "generate",
    "generate_at",
    "generate_pieces",
    "plan_limits",
    "read_prompt",
    "sample",
    "sample_each",
]
