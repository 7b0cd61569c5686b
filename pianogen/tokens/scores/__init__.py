"""Score files to notes: one reader a format, each of which is right or refuses."""

from pianogen.tokens.scores.reader import MAX_SCORE_BYTES, read_score

__all__ = ["MAX_SCORE_BYTES", "read_score"]
