"""A paragraph of methods for a paper: every number in it is computed from the design and the answers."""

from collections.abc import Mapping, Sequence

import numpy as np

from pianogen.study.analysis import Analysis, Collected
from pianogen.study.comparison import EXACT_UP_TO, NUM_PERMUTATIONS
from pianogen.study.design import HIGHEST, LOWEST, Condition, Design, Hearing
from pianogen.study.ratings import NUM_DRAWS

_KINDS = {
    "reference": "human performances through the same tokens as a hidden reference ({names})",
    "raw": "human performances as they were played ({names})",
    "anchor": "a low anchor, human performances with the times of their notes shuffled ({names})",
}


def paragraph(collected: Collected, analysis: Analysis) -> str:
    """What was compared, who rated what and how it was analysed."""
    design = collected.design
    simulated = ["(Simulated: these raters are a program.)"] if design.simulated else []
    parts = [*simulated, *_stimuli(design, collected.sessions.seconds, collected.stimuli()), *_procedure(collected)]
    return " ".join([*parts, *_raters(design, analysis), *_analysis(analysis)])


def _stimuli(design: Design, seconds: Mapping[str, float], stimuli: Sequence[str]) -> list[str]:
    lengths = [seconds[name] for name in stimuli if name in seconds]
    low, high = (f"{end:.3g}" for end in (min(lengths, default=0), max(lengths, default=0)))
    length = f"{low} s" if low == high else f"{low} to {high} s"
    models = [one for one in design.conditions if one.kind == "model"]
    kinds = [_of_models(models)] if models else []
    for kind, text in _KINDS.items():
        names = [one.name for one in design.conditions if one.kind == kind]
        kinds += [text.format(names=listed(names))] if names else []
    return [
        f"We compared {len(design.conditions)} conditions: {'; '.join(kinds)}.",
        f"Each condition had {counted(design.stimuli, 'clip')} of {length}, equally loud, with the same piano sound.",
    ]


def _of_models(models: Sequence[Condition]) -> str:
    prompted, alone = [one.prompted for one in models], [not one.prompted for one in models]
    how = "from nothing and from a prompt" if any(prompted) and any(alone) else "from nothing"
    how = "from a prompt" if all(prompted) else how
    names = list(dict.fromkeys(one.model or one.name for one in models))
    return f"pieces of {counted(len(names), 'model')} ({listed(names)}), generated {how}"


def _procedure(collected: Collected) -> list[str]:
    design = collected.design
    heard = _per_session(collected.sessions.sessions)
    scale = f'"{design.question}" on a scale from {LOWEST} to {HIGHEST}'
    again = f", {counted(heard['repeat'], 'clip')} a second time" if heard["repeat"] else ""
    checks = counted(heard["check"], "attention check")
    check = f", and {checks} (the number of notes of a clip)" if heard["check"] else ""
    sentences = [
        "The stimuli were presented one at a time without a given reference, as in Recommendation ITU-R BS.2132.",
        f"Each rater was asked {scale} about {counted(heard['rating'], 'clip')}, {design.clips} of each "
        f"condition{again}{check}.",
        "The order of conditions was balanced by Williams squares (Williams, 1949).",
    ]
    if design.must_finish_clip:
        sentences.append("A rating was possible only after the clip had been heard to its end.")
    return sentences


def _per_session(sessions: Sequence[Sequence[Hearing]]) -> dict[str, int]:
    """Pages of each role in a session; all sessions have as many."""
    roles = [one.role for one in sessions[0]] if sessions else []
    return {role: roles.count(role) for role in ("rating", "repeat", "check")}


def _raters(design: Design, analysis: Analysis) -> list[str]:
    counts, rules = analysis.counts, design.exclusion
    kind = "simulated rater" if design.simulated else "rater"
    planned = f"The study was planned for {counted(design.raters, 'rater')}{_power(list(design.power.values()))}."
    fixed = [
        f"failed {_more_than(rules.max_failed_checks, 'attention check')}",
        f"rated a clip twice more than {rules.max_repeat_difference} apart",
        f"gave fewer than {counted(rules.min_ratings, 'rating')}",
        *(["gave every clip the same rating"] if rules.all_equal else []),
    ]
    days = (
        f"on {counts.first_day}"
        if counts.first_day == counts.last_day
        else (f"from {counts.first_day} to {counts.last_day}")
    )
    took = f"{counted(counts.began, kind)} took part {days}, of whom {counts.finished} finished."
    out = f"By rules fixed before the study, raters who {listed(fixed, 'or')} were left out: {len(analysis.excluded)}."
    kept = f"We analysed {counted(counts.ratings, 'rating')} of {counted(counts.stimuli, 'clip')} by "
    return [planned, took, out, kept + f"{counted(counts.kept, kind)}."]


def _power(shares: Sequence[float]) -> str:
    if not shares:
        return ""
    ends = f"{min(shares):.2f} to {max(shares):.2f}"
    return f"; the power for its {counted(len(shares), 'hypothesis')}, simulated beforehand, was {ends}"


def _analysis(analysis: Analysis) -> list[str]:
    tests = len(analysis.hypotheses)
    sentences = [
        f"Means have 95 % intervals of a bootstrap over raters and stimuli ({NUM_DRAWS:,} draws; Owen, 2007), scaled "
        "to the variance clustered by both (Cameron, Gelbach & Miller, 2011) with quantiles of Student's t.",
        f"The primary analysis, named before the study, was {counted(tests, 'two-sided paired permutation test')} of "
        f"the raters' mean ratings (all changes of sign, or {NUM_PERMUTATIONS:,} random ones for more than "
        f"{EXACT_UP_TO} raters), adjusted by Holm's method (Holm, 1979).",
    ]
    if analysis.mixed_model is not None:
        sentences.append(
            "Beside it we fitted a linear mixed model with the condition as fixed effect and crossed random intercepts "
            "of raters and stimuli by restricted maximum likelihood (statsmodels)."
        )
    if analysis.alpha is not None:
        sentences.append(f"Krippendorff's alpha for ordinal ratings was {analysis.alpha:.2f}.")
    if analysis.counts.repeats:
        share = np.round(100 * analysis.counts.repeats_within_1 / analysis.counts.repeats)
        sentences.append(f"Of the clips that were rated twice, {share:.0f} % had ratings at most 1 apart.")
    return sentences


def _more_than(most: int, noun: str) -> str:
    return f"more than {counted(most, noun)}" if most else f"an {noun}"


def counted(number: int, noun: str) -> str:
    """A number and its noun: 1 clip, 2 clips, 2 hypotheses."""
    many = f"{noun[:-2]}es" if noun.endswith("is") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else many}"


def listed(names: Sequence[str], last: str = "and") -> str:
    """Names as in a sentence: a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
