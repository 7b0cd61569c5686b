"""The results as a page of Markdown, and the words and numbers that it shares with the terminal."""

from collections.abc import Iterator, Sequence

from pianogen.study.analysis import Analysis, Collected
from pianogen.study.comparison import Comparison
from pianogen.study.correlation import Correlation
from pianogen.study.exclusion import Excluded
from pianogen.study.methods import counted, paragraph
from pianogen.study.mixed_model import MixedModel

_SIMULATED = "**Simulated: the ratings are drawn at random by a program; nobody has listened.**"
_SHOWN_CORRELATIONS = 10
_SIGNED = "+.2f"
_WORDS = {"condition", "hypothesis", "pair", "result", "reason", "measure"}  # columns that are no numbers


def results_page(collected: Collected, analysis: Analysis, correlations: Sequence[Correlation] | None) -> str:
    """The page: figure, tables, who was left out, and the methods."""
    sections = (
        *_head(collected, analysis),
        *_means(analysis),
        *_tests(collected, analysis),
        *_mixed_model(analysis.mixed_model),
        *_agreement(analysis),
        *_excluded(analysis.excluded),
        *_correlations(correlations),
        *("## Methods", "", paragraph(collected, analysis), ""),
    )
    return "\n".join(sections)


def _head(collected: Collected, analysis: Analysis) -> Iterator[str]:
    counts = analysis.counts
    yield from (f"# {_text(collected.design.title)}", "")
    if collected.design.simulated:
        yield from (_SIMULATED, "")
    if warning := interim(collected, analysis):
        yield from (f"**{warning}**", "")
    began = f"{counted(counts.began, 'rater')} began, {counts.finished} finished, {counts.kept} are analysed"
    yield from (f"{began}: {counted(counts.ratings, 'rating')} of {counted(counts.stimuli, 'clip')}.", "")
    yield from (f"![Mean rating of each condition{_simulated(collected)}](figure-6.png)", "")


def interim(collected: Collected, analysis: Analysis) -> str | None:
    """A warning while raters are still to come: to stop when the tests please makes their p too small."""
    finished, planned = analysis.counts.finished, collected.design.raters
    if finished >= planned:
        return None
    return f"Interim: {finished} of the {planned} raters planned have finished. Test the hypotheses when all have."


def _simulated(collected: Collected) -> str:
    return ", simulated" if collected.design.simulated else ""


def _means(analysis: Analysis) -> Iterator[str]:
    rows = [
        (_text(one.condition), number(one.mean), interval(one.low, one.high), one.ratings, one.raters, one.stimuli)
        for one in analysis.means
    ]
    yield from ("## Mean ratings", "")
    yield from _table(("condition", "mean", "95 % interval", "ratings", "raters", "clips"), rows)


def _tests(collected: Collected, analysis: Analysis) -> Iterator[str]:
    design = collected.design
    yield from ("## Hypotheses: paired permutation tests (primary)", "")
    yield from (f"p adjusted by Holm's method over {counted(len(analysis.hypotheses), 'test')}; two-sided.", "")
    head = ("difference", "raters", "p", "adjusted p")
    rows = [
        (_text(text), *_tested(one), verdict(one))
        for text, one in zip(design.hypotheses, analysis.hypotheses, strict=True)
    ]
    yield from _table(("hypothesis", *head, "result"), rows)
    names = [_text(one.name) for one in design.conditions]
    yield from ("## All pairs: paired permutation tests (exploratory)", "")
    yield from (f"p adjusted by Holm's method over {counted(len(analysis.all_pairs), 'test')}; two-sided.", "")
    yield from _table(
        ("pair", *head), [(f"{names[one.second]} - {names[one.first]}", *_tested(one)) for one in analysis.all_pairs]
    )


def _tested(one: Comparison) -> tuple[str, int, str, str]:
    return number(one.difference, _SIGNED), one.raters, probability(one.p), probability(one.adjusted_p)


def verdict(one: Comparison) -> str:
    """What a test says of its hypothesis, that the second condition is rated higher."""
    if one.difference is None or one.adjusted_p >= 0.05:
        return "no difference shown"
    return "supported" if one.difference > 0 else "contradicted"


def _mixed_model(model: MixedModel | None) -> Iterator[str]:
    yield from ("## Linear mixed model (beside the primary analysis)", "")
    if model is None:
        yield from ("There are too few ratings to fit it.", "")
        return
    yield from (
        f"rating ~ condition + (1 | rater) + (1 | stimulus), by restricted maximum likelihood with statsmodels; "
        f"differences from {_text(model.baseline)}. Standard deviations: raters {model.rater_sd:.2f}, "
        f"stimuli {model.stimulus_sd:.2f}, error {model.error_sd:.2f}."
        + ("" if model.converged else " **The fit has not converged.**"),
        "",
    )
    rows = [
        (_text(one.condition), f"{one.difference:+.2f}", f"{one.standard_error:.2f}", probability(one.p))
        for one in model.effects
    ]
    yield from _table(("condition", "difference", "standard error", "p (Wald, not adjusted)"), rows)


def _agreement(analysis: Analysis) -> Iterator[str]:
    counts = analysis.counts
    yield from ("## Agreement", "")
    alpha = "is not defined for these ratings" if analysis.alpha is None else f"is {analysis.alpha:.2f}"
    yield f"Krippendorff's alpha (ordinal) {alpha}: 1 is perfect agreement, 0 that of chance."
    if counts.repeats:
        twice = f"Of {counted(counts.repeats, 'clip')} rated twice"
        yield f"{twice}, {counts.repeats_within_1} have ratings at most 1 apart."
    yield ""


def _excluded(out: Sequence[Excluded]) -> Iterator[str]:
    yield from ("## Raters left out by the rules of the design", "")
    if out:
        yield from _table(("rater", "reason"), [(one.rater, "; ".join(one.reasons)) for one in out])
    else:
        yield from ("None.", "")


def _correlations(found: Sequence[Correlation] | None) -> Iterator[str]:
    yield from ("## Ratings and the measures of `pianogen judge` (exploratory)", "")
    if found is None:
        yield from ("The notes of the clips are not beside the key, so that they cannot be measured.", "")
        return
    if not found:
        yield from ("There are too few rated clips.", "")
        return
    yield from (
        "Spearman's correlation of the mean rating of each clip with measures of the whole clip, and the middle 95 % "
        "of draws of the clips; not adjusted. Within conditions: of distances from the condition's mean. The "
        f"strongest {min(len(found), _SHOWN_CORRELATIONS)} of {len(found)}; all are in results.json.",
        "",
    )
    rows = [
        (
            one.measure,
            one.stimuli,
            f"{one.rho:+.2f}",
            interval(one.low, one.high, _SIGNED),
            number(one.rho_within, _SIGNED),
        )
        for one in found[:_SHOWN_CORRELATIONS]
    ]
    yield from _table(("measure", "clips", "correlation", "95 % interval", "within conditions"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join('---' if name in _WORDS else '---:' for name in head)}|"
    yield from (f"| {' | '.join(map(str, row))} |" for row in rows)
    yield ""


def _text(name: str) -> str:
    """A name as it is, where Markdown would read marks."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#" else letter for letter in name)


def number(value: float | None, form: str = ".2f") -> str:
    """A number, or a dash."""
    return "-" if value is None else f"{value:{form}}"


def interval(low: float | None, high: float | None, form: str = ".2f") -> str:
    """The ends of an interval, or a dash."""
    return "-" if low is None or high is None else f"{low:{form}} to {high:{form}}"


def probability(p: float) -> str:
    """A p-value with three digits."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
