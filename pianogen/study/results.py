"""The results of a study, in its folder and in MLflow.

DIR/results/figure-6.png .svg   mean rating of each condition
DIR/results/results.md          tables, and a paragraph of methods
DIR/results/results.json        the same as numbers
DIR/results/ratings.csv         one row per answer
DIR/results/comments.csv        what raters wrote, if anything; not sent to MLflow
"""

import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pianogen import track
from pianogen.errors import StudyError
from pianogen.files import write_atomic, write_json
from pianogen.judge.mirroring import metric_name
from pianogen.progress import status
from pianogen.randomness import RandomStream, generator
from pianogen.study.analysis import CORRELATIONS, Analysis, Collected, analyse
from pianogen.study.answers import read_answers
from pianogen.study.correlation import Correlation, correlations, read_pieces
from pianogen.study.csv_files import comments_csv, ratings_csv
from pianogen.study.figure import write_figure
from pianogen.study.folder import StudyFolder
from pianogen.study.methods import paragraph
from pianogen.study.results_page import results_page


@dataclass(frozen=True, eq=False)
class Results:
    """What was written, for the terminal."""

    collected: Collected
    analysis: Analysis
    correlations: Sequence[Correlation] | None
    """None if the clips' notes are not beside the key."""
    folder: Path


def results(folder: StudyFolder, key_path: Path | None = None) -> Results:
    """Analyse the answers so far, write DIR/results, and mirror it; a failure of the mirror is a warning.

    Raises:
        StudyError: The study or its key is missing or damaged, or there are no or too few ratings.
    """
    with status("reading the answers"):
        collected = collect(folder, key_path)
    with status("analysing"):
        analysis = analyse(collected)
        measured = _correlations(folder, key_path, collected)
    try:
        folder.results.mkdir(exist_ok=True)
    except OSError as error:
        raise StudyError(f"cannot create the folder {folder.results}: {error.strerror}") from error
    found = Results(collected, analysis, measured, folder.results)
    _write(found)
    if track.is_on():
        track.sync_or_warn(folder.path)
    return found


def collect(folder: StudyFolder, key_path: Path | None = None) -> Collected:
    """Read a study and its answers.

    Raises:
        StudyError: As `results`.
    """
    design, sessions, path = folder.design(), folder.sessions(), key_path or folder.key_path
    if not path.is_file():
        raise StudyError(f"the key {path} is missing, which says what each clip is; give its place with --key")
    key = folder.key(path)
    raters, answers = read_answers(folder)
    if not any(answer.role == "rating" for answer in answers):
        raise StudyError(f"{folder.path} has no ratings yet; `pianogen study serve {folder.path}` collects them")
    if unknown := next((answer.clip for answer in answers if answer.clip not in key), None):
        raise StudyError(f"{path} does not name the clip {unknown}; give the key of this study")
    return Collected(design, sessions, key, raters, answers)


def _correlations(folder: StudyFolder, key_path: Path | None, collected: Collected) -> list[Correlation] | None:
    pieces = read_pieces([folder.notes(name, key_path) for name in collected.stimuli()])
    if pieces is None:
        return None
    random = generator(collected.design.seed, RandomStream.STUDY_ANALYSIS, CORRELATIONS)
    return correlations(collected.table(collected.kept()), pieces, random)


def _write(found: Results) -> None:
    collected, analysis, out = found.collected, found.analysis, found.folder
    for form in ("png", "svg"):
        image = io.BytesIO()
        write_figure(collected.design, analysis, image, form)
        write_atomic(out / f"figure-6.{form}", image.getvalue())
    write_atomic(out / "ratings.csv", ratings_csv(collected))
    if comments := comments_csv(collected):
        write_atomic(out / "comments.csv", comments)
    write_atomic(out / "results.md", results_page(collected, analysis, found.correlations))
    write_json(out / "results.json", _content(found))


def _content(found: Results) -> dict[str, Any]:
    design, analysis = found.collected.design, found.analysis
    tested = zip(design.hypotheses, analysis.hypotheses, strict=True)
    content = {
        "simulated": design.simulated,
        "conditions": [one.name for one in design.conditions],
        **asdict(analysis),
        "hypotheses": [{"hypothesis": text, **asdict(one)} for text, one in tested],
        "correlations": None if found.correlations is None else [asdict(one) for one in found.correlations],
        "methods": paragraph(found.collected, found.analysis),
        "metrics": _metrics(analysis),
    }
    return finite(content)


def _metrics(analysis: Analysis) -> dict[str, float | None]:
    """What MLflow shows."""
    metrics: dict[str, float | None] = {}
    for one in analysis.means:
        name = metric_name(one.condition)
        metrics |= {f"mean/{name}": one.mean, f"low/{name}": one.low, f"high/{name}": one.high}
    metrics["krippendorff_alpha"] = analysis.alpha
    metrics |= {f"num_{name}": getattr(analysis.counts, name) for name in ("began", "finished", "kept", "ratings")}
    return {name: value for name, value in metrics.items() if value is not None}


def finite(value: Any) -> Any:
    """A value for JSON, which has no nan: None takes its place."""
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
