"""The results in the terminal."""

from rich.console import Console
from rich.markup import escape

from pianogen.study.results import Results
from pianogen.study.results_page import interim, interval, number, probability, verdict
from pianogen.terminal import plain_table, print_tables


def print_results(found: Results) -> None:
    """Print the means, the hypotheses, who was left out, and where the rest is."""
    collected, analysis = found.collected, found.analysis
    means = plain_table(text=["condition"], numbers=["mean", "95 % interval", "ratings"])
    tests = plain_table(text=["hypothesis"], numbers=["difference", "adjusted p"])
    tests.add_column("")
    for one in analysis.means:
        means.add_row(escape(one.condition), number(one.mean), interval(one.low, one.high), str(one.ratings))
    for text, one in zip(collected.design.hypotheses, analysis.hypotheses, strict=True):
        tests.add_row(escape(text), number(one.difference, "+.2f"), probability(one.adjusted_p), verdict(one))
    console = Console(highlight=False)
    if collected.design.simulated:
        console.print("[bold red]simulated ratings[/]")
    if warning := interim(collected, analysis):
        console.print(f"[bold]{warning}[/]")
    print_tables(means, tests)
    for out in analysis.excluded:
        console.print(f"left out: rater {out.rater} {escape('; '.join(out.reasons))}", soft_wrap=True)
    print(f"{found.folder / 'results.md'}  {found.folder / 'figure-6.png'}")
