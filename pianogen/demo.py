"""The command `demo`: shards, three models, a table and pieces, from the corpus of music21, in minutes.

Beside their pieces are those of the model that ships with the package, to hear what longer training on MAESTRO gives.
"""

from dataclasses import replace
from pathlib import Path

import yaml
from rich.console import Console

from pianogen.config import PAPER_KINDS, EvaluateConfig, GenerateConfig, ShardsConfig, TrainConfig, from_dict
from pianogen.data import open_shards
from pianogen.distributed.requeue import exit_unfinished
from pianogen.errors import RunError
from pianogen.evaluation import evaluate
from pianogen.generation import generate
from pianogen.progress import console
from pianogen.runs import PRETRAINED, local_run
from pianogen.tokens import decode, write_midi
from pianogen.train import train
from shards.build import build, summary

_CONFIG = Path(__file__).parents[1] / "configs" / "demo.yaml"
_PIECES_EACH = 2  # per model, without and with a prompt
_PROMPT_BARS = 4


def demo(out: Path, *, seconds: float, workers: int) -> None:
    """Run every step once, from shards to pieces; steps that an earlier call finished are reused."""
    _shards(out / "shards", workers)
    for kind in PAPER_KINDS:
        _headline(f"training {kind} for {seconds:.0f} s")
        if train(_config(kind, out, seconds)) == "stopped":
            exit_unfinished()
            return
    _headline("evaluating")
    evaluate([out / kind for kind in PAPER_KINDS], EvaluateConfig(train_tokens=50_000))
    _headline("generating")
    _pieces(out, _prompt(out))
    _print_paths(out)


def _headline(text: str) -> None:
    console.rule(f"[bold]{text}", align="left")


def _shards(folder: Path, workers: int) -> None:
    _headline("shards of the built-in corpus")
    if not (folder / "manifest.json").exists():
        print(summary(build("corpus", folder, ShardsConfig(workers=workers))))
    else:
        console.print(f"{folder} already exists")


def _config(kind: str, out: Path, seconds: float) -> TrainConfig:
    """configs/demo.yaml, for one model and a time."""
    if not _CONFIG.exists():
        raise RunError(f"{_CONFIG} is missing; run the demo from a checkout of pianogen")
    config = from_dict(TrainConfig, yaml.safe_load(_CONFIG.read_text()))
    lr = config.optim.lr / 4 if kind == "rnn" else config.optim.lr  # a tanh RNN diverges at the LSTMs' rate
    return replace(
        config,
        shards=str(out / "shards"),
        out=str(out / kind),
        model=replace(config.model, kind=kind),
        optim=replace(config.optim, lr=lr),
        budget=replace(config.budget, seconds=seconds),
    )


def _prompt(out: Path) -> Path:
    """A test performance, unseen in training, as a MIDI file."""
    path, test = out / "prompt.mid", open_shards(out / "shards").split("test")
    if not path.exists():
        write_midi(decode(test.tokens(0)), path)
    return path


def _pieces(out: Path, prompt: Path) -> None:
    """Generate pieces of the models and of `pretrained`, without and with the prompt; one page plays them all."""
    runs = [*(out / kind for kind in PAPER_KINDS), local_run(PRETRAINED)]
    settings = GenerateConfig(num=_PIECES_EACH, bars=16, min_bars=8, top_p=0.95, musicxml=True, piano_roll=True)
    generate(runs, out / "pieces", settings)
    prompted = replace(settings, prompt=str(prompt), prompt_bars=_PROMPT_BARS)
    generate(runs, out / "pieces", prompted)


def _print_paths(out: Path) -> None:
    show = Console(soft_wrap=True, highlight=False)
    for piece in sorted((out / "pieces").glob("**/*.mid")):
        show.print(f"[bold]piece[/]     {piece.with_suffix('')}.(mid|musicxml|png)")
    show.print(f"[bold]player[/]    {out / 'pieces' / 'index.html'}")
    show.print(f"[bold]table[/]     {out / 'comparison.md'}")
    show.print(f"[bold]figure 5[/]  {out / 'figure-5.png'}")
    show.print(f"[bold]MLflow[/]    .venv/bin/pianogen track ui {out}")
