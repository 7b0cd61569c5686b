"""Hypothesis strategies for small canonical performances, so few words that contexts come again."""

from hypothesis import strategies as st

from pianogen.tokens.vocab import ids_of


def spell(words: str):
    """Token ids of words in one line."""
    return ids_of(words.split())


_PITCHES = ("n64", "n62", "n60")
_lengths = st.sampled_from(["d1", "d2"])
_groups = st.lists(st.sampled_from(_PITCHES), min_size=1, unique=True).map(lambda names: sorted(names, reverse=True))


@st.composite
def performances(draw, max_groups: int = 8):
    """One performance as token ids, xxbos to xxeos."""
    words = ["xxbos", "xxpad"]
    for index in range(draw(st.integers(1, max_groups))):
        if index or draw(st.booleans()):
            words += ["xxsep", draw(_lengths)]
        for pitch in draw(_groups):
            words += [pitch, draw(_lengths)]
    return ids_of([*words, "xxeos"])


corpora = st.lists(performances(), min_size=1, max_size=5)
