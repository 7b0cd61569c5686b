"""The low anchor: a clip of human music whose notes are at other times, which nobody should prefer."""

from numpy.random import Generator

from pianogen.tokens.notes import Notes, canonical


def shuffled(notes: Notes, random: Generator) -> Notes:
    """The same notes, each at a step drawn from the whole length; two that fall together are one.

    How many there are, their pitches and their lengths stay; rhythm, harmony and melody do not.
    """
    if not len(notes):
        return notes
    end = int((notes.onset + notes.duration).max())
    onset = random.integers(0, end - notes.duration + 1)
    return canonical(onset - onset.min(), notes.duration, notes.pitch)
