"""An index of the train split, to find the longest run that a piece has in common with it.

The file is .originality/train.index beside the shards, see `pianogen.data.kept_file`; its content is little-endian
int32: the number of notes of each performance, then for all forms in `FORMS` the numbers of all notes and their suffix
array. It takes 16 bytes a note and is mapped into memory. Legend: P performances, N notes of all, Q notes of a piece.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int32

from pianogen.data import KeptFile, ShardSet, Split, identity_of
from pianogen.data.kept_file import HEADER_BYTES
from pianogen.errors import ShardError
from pianogen.metrics.originality import FORMS, Form
from pianogen.metrics.suffix_array import MAX_SYMBOLS, longest_matches, suffix_array
from pianogen.progress import status
from pianogen.tokens import Notes, decode

VERSION = 2  # increase it when a form, the layout of the file or `Copies` changes
FOLDER = "originality"
_PADDING = bytes(-HEADER_BYTES % 64)  # so that the numbers are aligned in the file: numpy copies others at each use


@dataclass(frozen=True, eq=False)
class CopyIndex:
    """The runs of the train split, without its tempo variants."""

    shards: ShardSet
    train: Split
    begins: Int[np.ndarray, " P"]
    """The place of each performance's first note among the notes of all."""
    _texts: Int32[np.ndarray, "forms N"]
    _suffixes: Int32[np.ndarray, "forms N"]

    @classmethod
    def of(cls, shards: ShardSet) -> "CopyIndex":
        """Index the train split, or map what an earlier call kept.

        Raises:
            ShardError: It cannot be read, or has too many notes.
        """
        train = shards.split("train", variants=False)
        file = KeptFile(
            shards,
            FOLDER,
            "train.index",
            identity_of(VERSION, shards, [train]),
            content="the index of the train split",
            again="indexing the train split again",
        )
        if (body := file.read()) is not None:
            numbers = np.frombuffer(body, "<i4", offset=len(_PADDING))
        else:
            with status("indexing the train split"):
                numbers = _built(train, str(shards.folder))
                file.keep(_PADDING + numbers.tobytes())
        num_notes, columns = numbers[: len(train)], numbers[len(train) :].reshape(2 * len(FORMS), -1)
        begins = np.cumsum(num_notes, dtype=np.int64) - num_notes
        return cls(shards, train, begins, columns[0::2], columns[1::2])

    def longest(self, form: Form, notes: Notes) -> tuple[Int32[np.ndarray, " Q"], Int32[np.ndarray, " Q"]]:
        """Length in notes of the longest run from each note of a piece, and where one is, see `source_of`."""
        number = FORMS.index(form)
        return longest_matches(self._texts[number], self._suffixes[number], form.of_piece(notes), form.tail_bits)

    def source_of(self, place: int) -> tuple[int, int]:
        """A place among the notes of all as the performance's index in `train`, and the note's index in it."""
        performance = int(np.searchsorted(self.begins, place, side="right")) - 1
        return performance, place - int(self.begins[performance])


def _built(train: Split, folder: str) -> Int32[np.ndarray, " numbers"]:
    """The numbers of the file."""
    num_notes = np.zeros(len(train), np.int32)
    links: list[list[np.ndarray]] = [[] for _ in FORMS]
    for index in range(len(train)):
        notes = decode(train.tokens(index))
        num_notes[index] = len(notes)
        for form, of_form in zip(FORMS, links, strict=True):
            of_form.append(form.of_source(notes))
    if (total := int(num_notes.sum(dtype=np.int64))) > MAX_SYMBOLS:
        raise ShardError(
            f"the train split in {folder!r} has {total} notes, copies are found among at most {MAX_SYMBOLS}; "
            "make shards of fewer performances"
        )
    parts = [num_notes]
    for of_form in links:
        text = np.concatenate(of_form)
        parts += [text, suffix_array(text)]
    return np.concatenate(parts).astype("<i4")
