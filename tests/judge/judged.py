"""Small sets of pieces: tonal music with phrases, in folders of MIDI files."""

from pathlib import Path

import numpy as np

from pianogen.tokens import write_midi
from pianogen.tokens.notes import Notes, canonical

MAJOR = np.array([0, 2, 4, 5, 7, 9, 11])


def tune(seed: int, num_bars: int = 10) -> Notes:
    """A melody in one key over a chord a bar, with a held note at the end of every fourth bar."""
    random = np.random.Generator(np.random.Philox(seed))
    tonic, rows = int(random.integers(12)), []
    degree = 7
    for bar in range(num_bars):
        root = int(random.choice([0, 3, 4, 5]))
        rows += [(16 * bar, 14, 48 + tonic + MAJOR[(root + k) % 7]) for k in (0, 2, 4)]
        onset = 0
        while onset < 16:
            length = 8 if bar % 4 == 3 and onset == 8 else int(random.choice([2, 2, 4]))
            degree = int(np.clip(degree + random.integers(-2, 3), 0, 13))
            rows.append((16 * bar + onset, length, 60 + tonic + MAJOR[degree % 7] + 12 * (degree // 7)))
            onset += length
    return canonical(*np.array(rows, np.int64).T)


def write_tunes(folder: Path, seeds: range, num_bars: int = 10) -> Path:
    folder.mkdir(parents=True)
    for seed in seeds:
        write_midi(tune(seed, num_bars), folder / f"{seed:03d}.mid")
    return folder
