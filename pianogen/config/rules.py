"""Validation shared by the settings classes."""

import re

from pianogen.errors import SettingError


def require(holds: bool, setting: str, value: object, rule: str) -> None:
    """Refuse a setting that breaks its rule.

    Raises:
        SettingError: `holds` is false.
    """
    if not holds:
        raise SettingError(f"setting '{setting}' is {value!r}, but it must be {rule}")


def part_of(part: str | None) -> tuple[int, int]:
    """Read the setting `part`, K/N with K from 0: every N-th task from the K-th on; None is all of them.

    Raises:
        SettingError: It is not K/N with K below N.
    """
    if part is None:
        return 0, 1
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", part, re.ASCII)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    require(number < count, "part", part, "K/N with K from 0 to N-1, such as 0/8 for the first of eight tasks")
    return number, count
