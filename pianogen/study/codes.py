"""Codes of invitation, one per rater: random, easy to type, in a file that the lab hands out of."""

import secrets

from pianogen.files import write_atomic
from pianogen.study.design import StudyFolder
from pianogen.study.store import Store

_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none of which looks like another
_LENGTH = 10  # 49 bits


def plain(code: str) -> str:
    """A code without its dash, and in capitals, however it was typed."""
    return "".join(letter for letter in code.upper() if letter.isalnum())


def make_codes(folder: StudyFolder, store: Store, number: int) -> int:
    """Have at least a number of codes, used ones included, in DIR/codes.txt; returns how many are new.

    The file is written first: if the process ends in between, its codes are valid after the next call.
    """
    path = folder.path / "codes.txt"
    codes = path.read_text("ascii").split() if path.is_file() else []
    new = [_code() for _ in range(number - max(len(codes), store.num_codes()))]
    if new:
        path.touch(mode=0o600)
        write_atomic(path, "".join(f"{code}\n" for code in [*codes, *new]))
        path.chmod(0o600)
    store.add_codes([plain(code) for code in [*codes, *new]])
    return len(new)


def _code() -> str:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    return f"{letters[: _LENGTH // 2]}-{letters[_LENGTH // 2 :]}"
