"""The results in the terminal."""

from pianogen.study.results import Results
from pianogen.study.tables import interim, interval, number, probability, verdict


def print_results(found: Results) -> None:
    """Print the means, the hypotheses, who was left out, and where the rest is."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    collected, analysis = found.collected, found.analysis
    console = Console(highlight=False, width=max(100, Console().width))
    style = {"box": box.SIMPLE_HEAD, "padding": (0, 1), "pad_edge": False}
    means, tests = Table("condition", **style), Table("hypothesis", **style)
    for table, heads in ((means, ("mean", "95 % interval", "ratings")), (tests, ("difference", "adjusted p"))):
        for head in heads:
            table.add_column(head, justify="right", no_wrap=True)
    tests.add_column("")
    for one in analysis.means:
        means.add_row(escape(one.condition), number(one.mean), interval(one.low, one.high), str(one.ratings))
    for text, one in zip(collected.design.hypotheses, analysis.hypotheses, strict=True):
        tests.add_row(escape(text), number(one.difference, "+.2f"), probability(one.adjusted_p), verdict(one))
    if collected.design.simulated:
        console.print("[bold red]simulated ratings[/]")
    if warning := interim(collected, analysis):
        console.print(f"[bold]{warning}[/]")
    console.print(means)
    console.print(tests)
    for out in analysis.excluded:
        console.print(f"left out: rater {out.rater} {escape('; '.join(out.reasons))}", soft_wrap=True)
    print(f"{found.folder / 'results.md'}  {found.folder / 'figure-6.png'}")
