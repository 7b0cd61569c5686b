"""Musical measures of pieces beside the same measures of human performances."""

from pianogen.judge.copy_index import CopyIndex
from pianogen.judge.copying import Copies, Passage, Run, Timing, copies_of, human_copies

__all__ = ["Copies", "CopyIndex", "Passage", "Run", "Timing", "copies_of", "human_copies"]
