"""ABC notation, standard 2.1: text -> lines of one tune -> tokens of each music line -> notes of each voice.

Where the standard is ambiguous or programs differ:
- accidentals apply to the whole bar in all octaves, including those of grace notes, unless %%propagate-accidentals is
  set;
- all notes of a chord last as long as its first note times the length of the chord;
- tuplets of 5, 7 and 9 notes take the time of 3 in compound metres such as 6/8, 9/8 and 12/8, otherwise of 2;
- `Q:120` counts quarters, `Q:C=120` unit note lengths; a tempo in words only is ignored;
- +8 and -8 at a clef, octave=, transpose=, sound=, shift=, instrument= and %%MIDI transpose change sounding pitches;
  middle= and score= do not;
- K:, L: and M: within a tune apply to the current voice; key changes in only some of the voices are refused;
- overlays last as long as their bar, and do not share accidentals;
- a voice may end before the others; one that skips lines and then continues is refused;
- single letters from H to W and h to w before a note are decorations, even if undefined.
"""

from pianogen.tokens.scores.abc.tune import parse_abc

__all__ = ["parse_abc"]
