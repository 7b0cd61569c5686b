"""ABC notation, standard 2.1: text -> lines of one tune -> tokens of each music line -> note heads of each voice.

Where the standard leaves room or programs differ:
- accidentals hold for the bar in all octaves, those of grace notes too; %%propagate-accidentals says otherwise;
- a chord lasts, with all its notes, as long as its first note times the chord's own length;
- 5, 7 and 9 notes are played in the time of 3 in 6/8, 9/8, 12/8 and their like, else of 2;
- `Q:120` counts quarters, `Q:C=120` unit note lengths; a tempo in words alone sets none;
- +8 and -8 at a clef, octave=, transpose=, sound=, shift=, instrument= and %%MIDI transpose move what sounds; middle=
  and score= do not;
- K:, L: and M: inside a tune are for the voice in which they stand; keys that change in some voices only are refused;
- overlays last as long as their bar, and do not share accidentals;
- a voice may end before the others; one that skips lines and then goes on is refused;
- lone letters from H to W and h to w before a note are decorations, defined or not.
"""

from pianogen.tokens.scores.abc.tune import parse_abc

__all__ = ["parse_abc"]
