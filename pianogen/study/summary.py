"""The design of a new study for the terminal."""

from pathlib import Path

from rich.markup import escape

from pianogen.study.design import Design
from pianogen.study.folder import StudyFolder
from pianogen.terminal import plain_table, print_tables


def print_summary(folder: Path, design: Design) -> None:
    """Print its size and the power of each hypothesis."""
    sessions = StudyFolder(folder).sessions().sessions
    heard = design.clips * len(design.conditions)
    table = plain_table(text=["hypothesis"], numbers=[f"power, {design.raters} raters"])
    for hypothesis, share in design.power.items():
        table.add_row(escape(hypothesis), f"{share:.2f}")
    print_tables(table)
    print(
        f"{folder}: {len(design.conditions)} conditions of {design.stimuli} clips; each of {design.raters} raters "
        f"hears {heard} clips, one of them twice, and one check; {len(sessions)} sessions"
    )
    print(f"pianogen study serve {folder}")
