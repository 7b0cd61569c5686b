"""Training: one process or many, exactly resumable; the only package that uses accelerate."""

from pianogen.train.loop import OnValidation, Outcome, train

__all__ = ["OnValidation", "Outcome", "train"]
