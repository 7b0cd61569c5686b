"""The judging job: read the pieces, measure them, compare them with real music, and write the results.

OUT/judge.json    every measure, distance and floor
OUT/judge.html    the report: one file that loads nothing else
RUN/evaluation/judge.json    of pieces below a run folder, which MLflow mirrors as it does the scores
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pianogen.config import JudgeConfig, to_dict
from pianogen.files import write_atomic, write_json
from pianogen.folders import make_out, refuse_run_or_shards
from pianogen.judge.comparison import Judgement, distances, floor, means
from pianogen.judge.features import Tables, tables, window_names
from pianogen.judge.kept_tables import kept_tables
from pianogen.judge.mirroring import mirror
from pianogen.judge.originality import Originality, find_copies
from pianogen.judge.piece_sets import PieceSet, judged_sets, read_folder
from pianogen.judge.references import References, references
from pianogen.judge.report import Report, page
from pianogen.progress import Progress, status


def judge(names: Sequence[str], out: Path, config: JudgeConfig) -> list[Judgement]:
    """Compare sets of pieces with real music, and write the results and the report to a folder.

    The judgements are those of the reference, of other real music (the floor), of each set, and of noise.

    Raises:
        SettingError: A set has no piece, two have one name, `out` is a run folder or holds shards, or copies are to be
            found of pieces whose steps are not those of the shards.
        ShardError: The reference is damaged.
    """
    refuse_run_or_shards(out, "the report")
    make_out(out)
    if (first := config.first_seconds) is not None:
        config = replace(config, windows_s=[seconds for seconds in config.windows_s if seconds <= first])
    with status("reading the pieces"):
        real = references(config)
        judged = judged_sets(names, config, real.tokenizer)
        if config.raw is not None:
            judged.append(read_folder(Path(config.raw), "real: as played", "raw", real.tokenizer))
    copies = find_copies(judged, real.shards, first) if real.shards and config.originality else []
    sets = [real.reference, real.floor, *judged, real.noise]
    if first is not None:
        sets = [one.beginnings(first) for one in sets]
    measured = _measure(sets, real, config)
    with Progress("comparing", total=len(sets), unit="sets") as bar:
        found = []
        for one, made in zip(sets, measured, strict=True):
            found.append(_judge(one, made, measured, config))
            bar.advance(1, note=one.name)
    write_json(out / "judge.json", _content(found, copies, real, config))
    write_atomic(out / "judge.html", page(Report(found, sets, copies, real.description, config)))
    mirror(sets, found, {"reference": real.description, "first_seconds": first})
    return found


def _measure(sets: list[PieceSet], real: References, config: JudgeConfig) -> list[Tables]:
    """The tables of every set; those of real music and noise are kept beside the shards."""
    with Progress("measuring", total=sum(len(one.pieces) for one in sets), unit="pieces") as bar:

        def make(one: PieceSet) -> Tables:
            pieces = [named.piece for named in one.pieces]
            return tables(pieces, config.windows_s, config.workers, lambda count: bar.advance(count, note=one.name))

        found = []
        for one in sets:
            if real.shards and one.role in ("reference", "floor", "noise"):
                found.append(kept_tables(real.shards, one, config, partial(make, one)))
            else:
                found.append(make(one))
            bar.update(sum(len(done.pieces) for done in sets[: len(found)]), note=one.name)
    return found


def _judge(one: PieceSet, made: Tables, measured: list[Tables], config: JudgeConfig) -> Judgement:
    reference, other = measured[:2]
    options = {"draws": config.draws, "seed": config.seed}
    compared = one.role != "reference"
    seconds = sorted(named.piece.seconds for named in one.pieces)
    return Judgement(
        name=one.name,
        role=one.role,
        pieces=len(one.pieces),
        notes=sum(len(named.piece.notes) for named in one.pieces),
        median_seconds=seconds[len(seconds) // 2],
        left_out=one.left_out,
        means=means(made, config.seed),
        distances={name: distances(made[name], reference[name], **options) for name in made} if compared else {},
        floors={
            name: floor(made[name], other[name], reference[name], **options)
            for name in (made if one.role in ("judged", "raw") else ())
        },
    )


def _content(
    found: list[Judgement], copies: list[Originality], real: References, config: JudgeConfig
) -> dict[str, Any]:
    return {
        "reference": real.description,
        "settings": to_dict(config),
        "windows": window_names(config.windows_s),
        "sets": [one.as_json() for one in found],
        "originality": [one.as_json() for one in copies],
    }
