"""ABC notation, standard 2.1: text -> lines of one tune -> tokens of each music line -> note heads of each voice."""

from pianogen.tokens.scores.abc.tune import parse_abc

__all__ = ["parse_abc"]
