"""Codes of invitation, one per rater: random, easy to type, in a file that the lab hands out of.

A line of the file begins with a code; what the lab writes after it, or on other lines, is kept.
"""

import re
import secrets

from pianogen.files import write_atomic
from pianogen.study.folder import StudyFolder
from pianogen.study.store import Store

_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none of which looks like another
_HALF = 5  # letters on each side of the dash; 49 bits in all
_CODE = re.compile(rf"^[{_LETTERS}]{{{_HALF}}}-[{_LETTERS}]{{{_HALF}}}\b", re.MULTILINE)


def plain(code: str) -> str:
    """A code without its dash, and in capitals, however it was typed."""
    return "".join(letter for letter in code.upper() if letter.isalnum())


def make_codes(folder: StudyFolder, store: Store, number: int) -> int:
    """Have at least a number of codes, used ones included, in DIR/codes.txt; returns how many are new.

    The file is written first: if the process ends in between, its codes are valid after the next call.
    """
    path, text = folder.path / "codes.txt", folder.text("codes.txt")
    codes = _CODE.findall(text)
    new = [_code() for _ in range(number - max(len(codes), store.num_codes()))]
    if new:
        before = text if not text or text.endswith("\n") else f"{text}\n"
        write_atomic(path, before + "".join(f"{code}\n" for code in new), mode=0o600)
    store.add_codes([plain(code) for code in [*codes, *new]])
    return len(new)


def _code() -> str:
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_HALF)) for _ in range(2))
