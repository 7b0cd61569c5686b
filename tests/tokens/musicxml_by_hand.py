"""MusicXML built element by element, so that the reader is tested against the standard, not against the writer.

A quarter has 4 divisions, unless the attributes of a bar say otherwise.
"""

DIVISIONS = "<attributes><divisions>4</divisions></attributes>"


def note(
    name: str, duration: float | str | None, *extra: str, tie: str = "", alter: str = "", chord: bool = False
) -> str:
    """A note such as `note("C4", 4)`; `tie` is start, stop or both; further elements follow the duration."""
    pitch = f"<step>{name[0]}</step>{f'<alter>{alter}</alter>' if alter else ''}<octave>{name[1:]}</octave>"
    length = "" if duration is None else f"<duration>{duration}</duration>"
    ties = "".join(f'<tie type="{kind}"/>' for kind in tie.split())
    return f"<note>{'<chord/>' if chord else ''}<pitch>{pitch}</pitch>{length}{ties}{''.join(extra)}</note>"


def rest(duration: float) -> str:
    """A rest."""
    return f"<note><rest/><duration>{duration}</duration></note>"


def backup(duration: float) -> str:
    """A backup, as before another voice."""
    return f"<backup><duration>{duration}</duration></backup>"


def forward(duration: float) -> str:
    """A forward, without a rest."""
    return f"<forward><duration>{duration}</duration></forward>"


def time(beats: str, unit: str) -> str:
    """A time signature."""
    return f"<attributes><time><beats>{beats}</beats><beat-type>{unit}</beat-type></time></attributes>"


def transpose(chromatic: int, more: str = "", staff: str = "") -> str:
    """A transposition of all staves, or of one."""
    number = f' number="{staff}"' if staff else ""
    return f"<attributes><transpose{number}><chromatic>{chromatic}</chromatic>{more}</transpose></attributes>"


def bar(number: str | int, *elements: str, **attributes: str) -> str:
    """A bar."""
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<measure number="{number}"{more}>{"".join(elements)}</measure>'


def partwise(*parts: list[str]) -> bytes:
    """A score of parts P1, P2 and so on, each a list of bars; the first bars begin with 4 divisions a quarter."""
    whole = [bars and [bars[0].replace(">", f">{DIVISIONS}", 1), *bars[1:]] for bars in parts]
    text = "".join(f'<part id="P{index}">{"".join(bars)}</part>' for index, bars in enumerate(whole, start=1))
    return f'<?xml version="1.0" encoding="UTF-8"?><score-partwise version="4.0">{text}</score-partwise>'.encode()


def one_part(*elements: str) -> bytes:
    """A score of one part and one bar."""
    return partwise([bar(1, *elements)])
