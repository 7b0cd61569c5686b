"""Causal attention per channel, as a gated running mean."""

from pianogen.ops.causal_attention.dispatch import causal_mean
from pianogen.ops.causal_attention.reference import causal_mean_cell

__all__ = ["causal_mean", "causal_mean_cell"]
