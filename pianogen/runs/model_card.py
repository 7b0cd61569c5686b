"""The model card of an exported run: README.md, made of the run's own files.

Its head is what Hugging Face's pages of models read.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from pianogen.config import TrainConfig, flatten, to_dict
from pianogen.files import sha256_of
from pianogen.folders import RESULTS_FOLDER
from pianogen.runs.checkpoint import BEST, TRAINING, read_best
from pianogen.runs.origin import UNKNOWN, data_of, source_of
from pianogen.runs.pretrained import PRETRAINED
from pianogen.runs.run import Run

_MEASURES = {
    "nll": "NLL, nats a token",
    "nll_per_note": "NLL, nats a note",
    "f1_weighted": "F1, weighted",
    "f1_macro": "F1, macro",
    "accuracy": "accuracy",
}
_NO_PART = ("shards", "out", "resume", "rank_timeout_s", "ops", "init", "init_checkpoint", "validation", "checkpoint")


@dataclass(frozen=True)
class Licence:
    """Under which terms weights may be shared, and why."""

    spdx: str
    url: str
    because: str

    @property
    def notice(self) -> str:
        """The content of the file LICENSE."""
        return (
            f"The files in this folder are licensed under {self.spdx}:\n{self.url}\n\n{self.because}\n\n"
            "The code of pianogen has another licence, which is in the file LICENSE of its own.\n"
        )


_MAESTRO = Licence(
    spdx="CC-BY-NC-SA-4.0",
    url="https://creativecommons.org/licenses/by-nc-sa/4.0/legalcode",
    because=(
        "The weights were trained on the MAESTRO dataset, which its authors publish under that licence:\n"
        "Curtis Hawthorne, Andriy Stasyuk, Adam Roberts, Ian Simon, Cheng-Zhi Anna Huang, Sander Dieleman, Erich\n"
        'Elsen, Jesse Engel, and Douglas Eck. "Enabling Factorized Piano Music Modeling and Generation with the\n'
        'MAESTRO Dataset." ICLR 2019. https://magenta.tensorflow.org/datasets/maestro'
    ),
)


def licence_of(data: Sequence[str]) -> Licence | None:
    """The licence that the data require of weights; None if they say nothing about it."""
    return _MAESTRO if "maestro" in data else None


def model_card(run: Run) -> str:
    """The text of README.md of an exported run."""
    licence = licence_of(data_of(run))
    head = {"library_name": "pianogen", "tags": ["music", "piano", "symbolic-music"]}
    if licence:
        head = {"license": licence.spdx.lower(), **head}
    sections = {
        "Use": _use(run),
        "Data": _data(run),
        "Recipe": _recipe(run),
        "Metrics": _metrics(run),
        "Limits": _limits(run),
        "Licence": _licence(licence),
    }
    text = "".join(f"\n## {title}\n\n{content.rstrip()}\n" for title, content in sections.items())
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n# {run.path.name}\n\n{_summary(run)}\n{text}"


def _summary(run: Run) -> str:
    model, weights = run.config.model, run.find_checkpoint("last") / "model.safetensors"
    return (
        f"A model of piano music, made with pianogen: `{model.kind}`, hidden size {model.hidden_size}, "
        f"{weights.stat().st_size / 1e6:.1f} MB of weights in bfloat16, which are read as fp32 "
        f"(sha256 `{sha256_of(weights)}`)."
    )


def _use(run: Run) -> str:
    name = run.path.name if run.path.name == PRETRAINED else "FOLDER"
    where = "`pretrained` is this folder" if name == PRETRAINED else "FOLDER is this folder, or its URL"
    commands = [
        f"pianogen generate {name} --num 4 --out pieces",
        f"pianogen generate {name} --prompt beginning.mid --prompt_bars 4 --out continuations",
        f"pianogen train --init {name} --shards SHARDS --out RUN ...",
        f"pianogen evaluate {name} --shards SHARDS",
    ]
    return "\n".join([f"{where}:\n", *(f"    {command}" for command in commands)])


def _data(run: Run) -> str:
    environment, source = run.environment, source_of(run)
    kinds = ["music that is not recorded" if kind == UNKNOWN else kind for kind in data_of(run)]
    details = ", ".join(f"{name} {value}" for name, value in source.items() if isinstance(value, str | int))
    tokenizer = ", ".join(f"{name} {value}" for name, value in to_dict(run.tokenizer).items())
    lines = [
        f"- trained on: {', then '.join(kinds)}",
        f"- shards: {details or 'not described'}; fingerprint `{environment['shards'].get('fingerprint')}`",
        f"- tokenizer: {tokenizer}",
    ]
    if "init" in environment:
        init = environment["init"]
        lines.append(f"- started from the weights of {init['run']}, step {init['step']}, sha256 `{init['sha256']}`")
    return "\n".join(lines)


def _recipe(run: Run) -> str:
    training = json.loads((run.find_checkpoint("last") / TRAINING).read_text())
    position, environment = training.get("position", {}), run.environment
    default = flatten(to_dict(TrainConfig()))
    settings = {
        name: value
        for name, value in flatten(to_dict(run.config)).items()
        if value != default[name] and name.partition(".")[0] not in _NO_PART
    }
    differing = ", ".join(f"`{name} {value}`" for name, value in settings.items())
    lines = [
        f"- step {training['step']}" + (f", {position['tokens']:,} tokens" if "tokens" in position else ""),
        *([f"- {position['seconds'] / 3600:.2f} hours"] if position.get("seconds") else []),
        f"- on {environment.get('gpu') or str(environment.get('cores')) + ' CPU cores'}",
        f"- pianogen {environment.get('pianogen')}, commit {environment.get('git_commit')}, seed {run.config.seed}",
        f"- settings that differ from the defaults: {differing or 'none'}",
    ]
    return "\n".join(lines)


def _metrics(run: Run) -> str:
    rows = list(_results(run))
    text = ""
    if rows:
        head = ["split", "performances", *_MEASURES.values(), "weights"]
        text = "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]) + "\n\n"
        text += "Files: evaluation/. "
    if read_best(run.checkpoints) is not None:
        best = json.loads((run.checkpoints / BEST).read_text())
        text += f"Validation NLL during training: {best['nll']:.3f} nats a token"
        text += f", on {best['slice_tokens']:,} tokens of the validation split." if "slice_tokens" in best else "."
    return text or "None: `pianogen evaluate` had not scored these weights."


def _results(run: Run) -> Iterator[list[str]]:
    """The rows of the table: one for each file in evaluation/."""
    rounded = sha256_of(run.find_checkpoint("last") / "model.safetensors")
    for file in sorted((run.path / RESULTS_FOLDER).glob("*.json")):
        found = json.loads(file.read_text())
        metrics = {name.rpartition("/")[2]: value for name, value in found["metrics"].items()}
        values = [f"{metrics[name]:.4f}" if name in metrics else "-" for name in _MEASURES]
        weights = "these" if found["checkpoint_sha256"] == rounded else "before rounding to bfloat16"
        yield [file.stem + " of other shards" * ("shards" in found), str(found["performances"]), *values, weights]


def _limits(run: Run) -> str:
    spq, is_maestro = run.tokenizer.steps_per_quarter, "maestro" in data_of(run)
    grid = f"- Onsets and lengths are on a grid of {spq} steps a quarter note"
    grid += f"; in MAESTRO, which has no beats, that is {500 / spq:.0f} ms." if is_maestro else "."
    lines = [
        "- Notes have a pitch, an onset and a length: no loudness, no pedal, no changes of tempo.",
        grid,
        f"- Back-propagation through time ended after {run.config.data.excerpt_tokens} tokens; form over a whole piece "
        "is not learned.",
        "- It knows the styles of its data only. Pieces may repeat passages of it; nobody has checked how often.",
        "- It was measured by likelihood and by the next token, not by listeners.",
    ]
    return "\n".join(lines)


def _licence(licence: Licence | None) -> str:
    if licence is None:
        return "Not stated: the data decide under which terms these weights may be shared."
    return f"{licence.spdx} ({licence.url}).\n\n{licence.because}"
