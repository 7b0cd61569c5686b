"""A new study: conditions, clips and sessions, and a design with its power, all written before anyone listens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pianogen.config import StudyNewConfig, differences, to_dict
from pianogen.data import ShardSet, open_shards_at
from pianogen.errors import StudyError
from pianogen.files import write_json
from pianogen.judge.copy_index import CopyIndex
from pianogen.progress import Progress, status
from pianogen.render.sound import check_sound
from pianogen.runs import Run, local_run
from pianogen.runs.run import open_run
from pianogen.study.clip_files import ClipWriter
from pianogen.study.design import Condition, Design, Sessions
from pianogen.study.excerpts import Excerpt, choose_excerpts
from pianogen.study.folder import StudyFolder, refuse_place, whole_folder
from pianogen.study.hypotheses import conditions_of, hypotheses_of
from pianogen.study.means import paper_means, read_means
from pianogen.study.power import power
from pianogen.study.raw import RawPerformances
from pianogen.study.sessions import MAX_CLIPS, clips_per_condition, plan_sessions
from pianogen.study.simulation import Size
from pianogen.study.stimuli import CopyRule, Stimulus, model_clips


@dataclass(frozen=True)
class _Plan:
    """What a study is made of, all of it validated."""

    runs: tuple[Run, ...]
    shards: ShardSet
    conditions: tuple[Condition, ...]
    means: list[float]
    size: Size
    raw: RawPerformances | None


def new_study(folder: Path, models: Sequence[str], config: StudyNewConfig) -> Design:
    """Make a study of models in a folder that does not exist yet.

    Args:
        folder: Where it is written, when it is complete.
        models: Run folders, their URLs, or pretrained, from the one that is expected to be worst.
        config: Everything else.

    Raises:
        StudyError: The folder has content, the models or the shards do not fit, or there is too little music.
        SettingError, RunError, ShardError: Something cannot be read.
    """
    refuse_place(folder)
    check_sound(["mp3"], config.soundfont)
    plan = _plan(models, config)
    with status("choosing performances"):
        excerpts = choose_excerpts(plan.shards, config.prompts + 1, config.prompt_seconds, config.seconds, config.seed)
    with whole_folder(folder) as staging:
        study = StudyFolder(staging)
        writer = ClipWriter(study, config, plan.shards.tokenizer)
        names = _add_clips(writer, plan, excerpts, config)
        checks, sound_check = writer.checks("attention check"), writer.checks("sound check")
        examples = writer.examples(excerpts[-1])
        sessions = plan_sessions(config.raters, plan.size.clips, names, checks, config.seed)
        key, seconds = writer.record()
        design = _design(plan, config)
        write_json(staging / "settings.json", _settings(plan, config))
        study.write(design, Sessions(sound_check, examples, sessions, seconds), key)
    return design


def _plan(models: Sequence[str], config: StudyNewConfig) -> _Plan:
    runs = tuple(open_run(local_run(name, config.checkpoint)) for name in models)
    shards = open_shards_at(config.reference)
    _require_same_tokens(runs, shards)
    names = [(run.path.resolve().name, run.config.model.kind) for run in runs]
    conditions = conditions_of(names, raw=config.raw is not None)
    _require_names(conditions)
    clips = clips_per_condition(len(conditions), config.prompts)
    if clips == 0:
        raise StudyError(
            f"{len(conditions)} conditions need more than the {MAX_CLIPS} clips that a rater can hear;"
            " name fewer models"
        )
    means = read_means(Path(config.means), conditions) if config.means else paper_means(conditions)
    raw = RawPerformances(Path(config.raw)) if config.raw else None
    return _Plan(runs, shards, conditions, means, Size(config.raters, clips, config.prompts), raw)


def _require_names(conditions: Sequence[Condition]) -> None:
    """Results, means and hypotheses name conditions."""
    names = [condition.name for condition in conditions]
    for name in names:
        if names.count(name) > 1:
            raise StudyError(f"two conditions would be called {name!r}; give the run folders other names")
        if " < " in name:
            raise StudyError(f"the model's name {name!r} has ' < ', which separates names in hypotheses; rename it")


def _require_same_tokens(runs: Sequence[Run], shards: ShardSet) -> None:
    """Prompts and references are of the shards' tokens, which the models must have learned."""
    for run in runs:
        for name, value, other in differences(run.tokenizer, shards.tokenizer):
            raise StudyError(
                f"{run.path} was trained on tokens with {name} {value!r}, but the shards {shards.folder} have "
                f"{other!r}; a study needs one tokenizer: give shards of that setting, or leave the model out"
            )


def _add_clips(writer: ClipWriter, plan: _Plan, excerpts: Sequence[Excerpt], config: StudyNewConfig) -> list[list[str]]:
    """The names of all clips, by condition and stimulus."""
    rule, used = None, excerpts[: config.prompts]
    if not config.allow_copies:
        with status("indexing the train split and searching the test split"):
            rule = CopyRule(CopyIndex.of(plan.shards))
    found: dict[tuple[str | None, bool], list[Stimulus]] = {}
    with Progress("generating", total=2 * len(plan.runs) * len(used), unit="clips") as bar:
        for run in plan.runs:
            name = run.path.resolve().name
            made_one = partial(bar.advance, 1, note=name)
            found[name, False], found[name, True] = model_clips(run, used, rule, config, made_one)
    return [
        [_add(writer, number, stimulus, found, plan, excerpt) for stimulus, excerpt in enumerate(used)]
        for number in range(len(plan.conditions))
    ]


def _add(
    writer: ClipWriter,
    number: int,
    stimulus: int,
    found: Mapping[tuple[str | None, bool], Sequence[Stimulus]],
    plan: _Plan,
    excerpt: Excerpt,
) -> str:
    """Add a clip of a condition; returns its name."""
    condition = plan.conditions[number]
    match condition.kind:
        case "model":
            return writer.piece(number, stimulus, found[condition.model, condition.prompted][stimulus])
        case "reference":
            return writer.piece(number, stimulus, writer.reference(excerpt))
        case "anchor":
            return writer.piece(number, stimulus, writer.anchor(excerpt, stimulus))
        case "raw":
            assert plan.raw is not None
            return writer.raw(number, stimulus, excerpt, plan.raw)


def _design(plan: _Plan, config: StudyNewConfig) -> Design:
    hypotheses = hypotheses_of(plan.conditions)
    design = Design(
        title=config.title,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=config.seed,
        conditions=plan.conditions,
        hypotheses=hypotheses,
        raters=config.raters,
        clips=plan.size.clips,
        stimuli=config.prompts,
        power={},
    )
    found = power(plan.means, design.pairs(), plan.size, config.power_studies, config.seed)
    return replace(design, power=dict(zip(hypotheses, found.tolist(), strict=True)))


def _settings(plan: _Plan, config: StudyNewConfig) -> dict[str, Any]:
    return {
        "settings": to_dict(config),
        "models": [{"name": run.path.resolve().name, "model": to_dict(run.config.model)} for run in plan.runs],
        "shards": plan.shards.fingerprint,
        "tokenizer": to_dict(plan.shards.tokenizer),
        "means": dict(zip((one.name for one in plan.conditions), plan.means, strict=True)),
    }
