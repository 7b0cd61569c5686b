"""Pieces from a trained model: sampling in batches, prompts, and the job that writes them to a folder."""

from pianogen.generation.job import generate, generate_at
from pianogen.generation.limits import Limits, plan_limits
from pianogen.generation.prompt import Prompt, read_prompt
from pianogen.generation.sampler import Request, SampledPiece, sample, sample_each

__all__ = [
    "Limits",
    "Prompt",
    "Request",
    "SampledPiece",
    "generate",
    "generate_at",
    "plan_limits",
    "read_prompt",
    "sample",
    "sample_each",
]
