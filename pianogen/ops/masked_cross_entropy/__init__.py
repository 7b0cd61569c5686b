"""Cross-entropy under the grammar mask and the padding mask, with the counts that precision and recall need."""

from pianogen.ops.masked_cross_entropy.reference import GROUPS, IGNORE, NUM_GROUPS, MaskedLoss, masked_cross_entropy

__all__ = ["GROUPS", "IGNORE", "NUM_GROUPS", "MaskedLoss", "masked_cross_entropy"]
