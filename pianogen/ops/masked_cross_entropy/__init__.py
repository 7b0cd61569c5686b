"""Cross-entropy with the grammar mask and the padding mask, and the counts for precision and recall."""

from pianogen.ops.masked_cross_entropy.dispatch import masked_cross_entropy
from pianogen.ops.masked_cross_entropy.reference import GROUPS, IGNORE, NUM_GROUPS, MaskedLoss

__all__ = ["GROUPS", "IGNORE", "NUM_GROUPS", "MaskedLoss", "masked_cross_entropy"]
