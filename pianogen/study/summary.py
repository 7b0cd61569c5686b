"""The design of a new study for the terminal."""

from pathlib import Path

from pianogen.study.design import Design, StudyFolder


def print_summary(folder: Path, design: Design) -> None:
    """Print its size and the power of each hypothesis."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    sessions = StudyFolder(folder).sessions().sessions
    heard = design.clips * len(design.conditions)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("hypothesis", overflow="fold")
    table.add_column(f"power, {design.raters} raters", justify="right", no_wrap=True)
    for hypothesis, share in design.power.items():
        table.add_row(escape(hypothesis), f"{share:.2f}")
    console = Console()
    Console(width=max(100, console.width)).print(table)
    print(
        f"{folder}: {len(design.conditions)} conditions of {design.stimuli} clips; each of {design.raters} raters "
        f"hears {heard} clips, one of them twice, and one check; {len(sessions)} sessions"
    )
    print(f"pianogen study serve {folder}")
