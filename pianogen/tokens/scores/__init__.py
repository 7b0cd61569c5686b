"""Score files to notes: one reader per format; ambiguous scores are refused."""

from pianogen.tokens.scores.reader import MAX_SCORE_BYTES, read_score

__all__ = ["MAX_SCORE_BYTES", "read_score"]
