"""Where a model is surprised: each token of a file with its place in the music, its probability and its surprise.

The surprise of a token is its negative log-likelihood. A note's surprise is that of its two tokens and, of the first
note of an onset, that of the wait before it: the surprises of all notes and of the end add up to the file's total.
Shapes: N tokens predicted, K notes, M bars.
"""

import csv
import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pianogen.evaluation.music_file import MusicFile
from pianogen.evaluation.predictions import Predictions
from pianogen.tokens.vocab import FIRST_NOTE, SEP, words_of

COLUMNS = ["time_s", "bar", "beat", "token", "word", "probability", "surprise_nats", "rank", "likeliest_word", "pitch"]
_LEAST_SHARE = 0.5  # of the median bar's notes: in a bar of fewer notes, one of them decides the mean


@dataclass(frozen=True, eq=False)
class Surprise:
    """What a model predicted for one file."""

    music: MusicFile
    found: Predictions
    """Of this file alone, in order."""

    @property
    def note(self) -> Int[np.ndarray, " N"]:
        """The note that each token writes or, for a wait, leads to; K for the end."""
        pairs = self.found.targets[:-1].reshape(-1, 2)[:, 0]
        is_note = pairs != SEP
        return np.append(np.repeat(np.cumsum(is_note) - is_note, 2), len(self.music.notes))

    @property
    def of_notes(self) -> Float[np.ndarray, " K"]:
        """The surprise of each note, in nats."""
        return np.bincount(self.note, self.found.nll_nats)[:-1]

    def bars(self) -> list[dict[str, float]]:
        """The bars, the most surprising first, by the mean surprise of a note that begins there.

        Bars with less than half as many notes as the median bar are left out.
        """
        bar_of_note, _ = self.music.bars_at(self.music.notes.onset)
        bars, index, num_notes = np.unique(bar_of_note, return_inverse=True, return_counts=True)
        mean = np.bincount(index, self.of_notes) / num_notes
        first = self.music.seconds_at(self.music.notes.onset)[np.searchsorted(bar_of_note, bars)]
        enough = np.flatnonzero(num_notes >= _LEAST_SHARE * np.median(num_notes))
        return [
            {
                "bar": int(bars[one]),
                "time_s": round(float(first[one]), 3),
                "notes": int(num_notes[one]),
                "nats_per_note": float(mean[one]),
            }
            for one in enough[np.argsort(-mean[enough], kind="stable")]
        ]

    def csv(self) -> str:
        """One line per token that the model predicted, with a heading.

        A note's tokens have the time of its onset, a wait's the time that it leads to, and the end that of the last
        release. Bars and quarter-note beats count from 1. `pitch` is empty where the token belongs to no note.
        """
        notes, found = self.music.notes, self.found
        end = int((notes.onset + notes.duration).max())
        steps = np.append(notes.onset, end)[self.note]
        (bars, beats), seconds = self.music.bars_at(steps), self.music.seconds_at(steps)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(
            zip(
                (f"{second:.3f}" for second in seconds),
                bars.tolist(),
                (f"{beat:g}" for beat in beats.round(3)),
                found.position.tolist(),
                words_of(found.targets),
                (f"{probability:.4g}" for probability in np.exp(-found.nll_nats)),
                (f"{nats:.4f}" for nats in found.nll_nats),
                found.rank.tolist(),
                words_of(found.words),
                self._pitches(),
                strict=True,
            )
        )
        return text.getvalue()

    def _pitches(self) -> list[int | str]:
        """The pitch of each note's two tokens."""
        pairs = self.found.targets[:-1].reshape(-1, 2)[:, 0]
        pitches = ["" if word == SEP else word - FIRST_NOTE for word in pairs.tolist()]
        return [pitch for pitch in pitches for _ in range(2)] + [""]
