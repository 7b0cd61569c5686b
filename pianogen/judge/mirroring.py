"""The judgements of a run's pieces, in its folder and so in MLflow."""

from collections.abc import Sequence
from pathlib import Path

from pianogen import track
from pianogen.errors import RunError
from pianogen.files import write_json
from pianogen.folders import run_above
from pianogen.judge.comparison import Judgement
from pianogen.judge.piece_sets import PieceSet
from pianogen.progress import console


def mirror(sets: Sequence[PieceSet], judgements: Sequence[Judgement]) -> None:
    """Write RUN/evaluation/judge.json for pieces below a run folder, and mirror it; a failure there is a warning."""
    by_run: dict[Path, dict[str, float]] = {}
    steps: dict[Path, int] = {}
    for one, judgement in zip(sets, judgements, strict=True):
        folder = one.pieces[0].folder if one.role == "judged" else None
        run = run_above(folder) if folder else None
        if run:
            prefix = "judge-prompt" if one.name.endswith(", with prompt") else "judge"
            by_run.setdefault(run, {}).update(_metrics(prefix, judgement))
            steps[run] = one.pieces[0].step
    for run, metrics in by_run.items():
        (run / "evaluation").mkdir(exist_ok=True)
        write_json(run / "evaluation" / "judge.json", {"step": steps[run], "metrics": metrics})
        if track.is_on():
            try:
                track.sync(run)
            except RunError as error:
                console.print(f"[yellow]warning:[/] {error}", soft_wrap=True)


def _metrics(prefix: str, judgement: Judgement) -> dict[str, float]:
    found: dict[str, float | None] = {}
    for name, distance in judgement.distances.items():
        window = f"{prefix}/{name.replace(' ', '')}"
        found[f"{window}/frechet"] = distance.frechet.distance if distance.frechet else None
        found[f"{window}/overlap"], found[f"{window}/kl"] = distance.overlap, distance.kl_nats
    for name, measures in judgement.means.items():
        found |= {f"{prefix}/{name.replace(' ', '')}/{measure}": mean.value for measure, mean in measures.items()}
    return {name: value for name, value in found.items() if value is not None}
