"""Every setting, with its unit, default and limits; the same dataclasses serve files, flags and code.

Defaults < `--config FILE.yaml` < `--model.hidden_size 512`. A run records its resolved settings.
"""

import json
import re
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, Literal, TypeVar, get_type_hints

from pianogen.errors import SettingError

ModelKind = Literal["rnn", "lstm", "attn"]
EmbeddingKind = Literal["one_hot", "learned", "musical"]
Mask = Literal["strict", "paper"]
Settings = TypeVar("Settings")


def require(holds: bool, setting: str, value: object, rule: str) -> None:
    """Refuse a setting that breaks its rule.

    Raises:
        SettingError: `holds` is false.
    """
    if not holds:
        raise SettingError(f"setting '{setting}' is {value!r}, but it must be {rule}")


def part_of(part: str | None) -> tuple[int, int]:
    """Read the setting `part`, K/N with K from 0: every N-th task from the K-th on; None is all of them.

    Raises:
        SettingError: It is no such share.
    """
    if part is None:
        return 0, 1
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", part, re.ASCII)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    require(number < count, "part", part, "K/N with K from 0 to N-1, such as 0/8 for the first of eight tasks")
    return number, count


@dataclass(frozen=True)
class TokenizerConfig:
    """How notes become tokens; shards and models must agree on all of it."""

    steps_per_quarter: int = 4
    """Grid steps in a quarter note; 4, a sixteenth, is the paper's."""
    short_notes: Literal["keep", "drop"] = "keep"
    """A note that rounds to no step: keep it as one step, or drop it as the paper's encoder does."""
    pedal: Literal["ignore", "extend"] = "ignore"
    """Sustain pedal: ignore it as the paper does, or let notes sound until it lifts or the key is struck again."""

    def __post_init__(self) -> None:
        require(1 <= self.steps_per_quarter <= 48, "steps_per_quarter", self.steps_per_quarter, "from 1 to 48")


@dataclass(frozen=True)
class ModelConfig:
    """The network; the defaults are the paper's."""

    kind: ModelKind = "lstm"
    """rnn, lstm, or attn: an LSTM with feed-forward attention over its own past."""
    hidden_size: int = 512
    """Units in each recurrent layer."""
    num_layers: int = 1
    """Recurrent layers, one above the other."""
    dropout: float = 0.0
    """Probability of dropping a unit between layers and before the decoder."""
    embedding: EmbeddingKind = "one_hot"
    """What the first layer sees: the paper's one-hot word, a learned vector, or musical features of the word."""
    embedding_size: int = 256
    """Width of a learned or musical embedding; one_hot has none."""
    mask: Mask = "strict"
    """Grammar filter before the softmax: the paper's alternation, or strict, which admits canonical streams only."""

    def __post_init__(self) -> None:
        require(self.hidden_size >= 1, "model.hidden_size", self.hidden_size, "at least 1")
        require(self.num_layers >= 1, "model.num_layers", self.num_layers, "at least 1")
        require(0.0 <= self.dropout < 1.0, "model.dropout", self.dropout, "at least 0 and below 1")
        require(self.embedding_size >= 1, "model.embedding_size", self.embedding_size, "at least 1")


@dataclass(frozen=True)
class DataConfig:
    """Which excerpts the model sees, and in which order."""

    order: Literal["excerpts", "stream"] = "stream"
    """excerpts: windows in random order, each from a zero state; stream: performances end to end, state carried."""
    excerpt_tokens: int = 256
    """Length of one excerpt, and so of back-propagation through time."""
    transpose: bool = True
    """Transpose each training performance by a random -6 to +5 semitones that keeps it on the keyboard."""
    fraction: float = 1.0
    """Share of the training performances to use: the paper tuned on a sub-sample."""

    def __post_init__(self) -> None:
        require(self.excerpt_tokens >= 2, "data.excerpt_tokens", self.excerpt_tokens, "at least 2")
        require(0.0 < self.fraction <= 1.0, "data.fraction", self.fraction, "above 0 and at most 1")


@dataclass(frozen=True)
class OptimConfig:
    """Adam with warm-up and cosine decay, both functions of the targets seen."""

    lr: float = 2e-3
    """Peak learning rate."""
    beta1: float = 0.9
    """Adam's decay of the gradient mean."""
    beta2: float = 0.999
    """Adam's decay of the squared-gradient mean."""
    clip_norm: float = 1.0
    """Largest gradient norm over all parameters."""
    warmup_tokens: int = 100_000
    """Targets over which the learning rate rises linearly."""
    horizon_tokens: int | None = None
    """Targets at which the cosine ends; by default the budget in tokens or steps, or else one epoch."""
    final_lr_ratio: float = 0.05
    """Learning rate at the horizon and beyond, as a share of the peak."""

    def __post_init__(self) -> None:
        require(self.lr > 0, "optim.lr", self.lr, "above 0")
        require(0 <= self.beta1 < 1, "optim.beta1", self.beta1, "at least 0 and below 1")
        require(0 <= self.beta2 < 1, "optim.beta2", self.beta2, "at least 0 and below 1")
        require(self.clip_norm > 0, "optim.clip_norm", self.clip_norm, "above 0")
        require(self.warmup_tokens >= 0, "optim.warmup_tokens", self.warmup_tokens, "at least 0")
        horizon = self.horizon_tokens
        require(horizon is None or horizon > 0, "optim.horizon_tokens", horizon, "above 0")
        require(0 <= self.final_lr_ratio <= 1, "optim.final_lr_ratio", self.final_lr_ratio, "from 0 to 1")


@dataclass(frozen=True)
class BudgetConfig:
    """When training ends: at the first of these that is reached. At least one must be set."""

    steps: int | None = None
    """Optimizer steps."""
    tokens: int | None = None
    """Targets seen."""
    seconds: float | None = None
    """Wall time spent training, over all lives of the run."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            require(value is None or value > 0, f"budget.{name}", value, "above 0")


@dataclass(frozen=True)
class ValidationConfig:
    """What is looked at while training goes on."""

    every_steps: int = 200
    """Steps between evaluations."""
    slice_tokens: int = 100_000
    """Tokens of the validation split that each evaluation reads, always the same ones."""
    num_samples: int = 1
    """Pieces to generate at each evaluation, as MIDI and piano roll."""
    sample_tokens: int = 512
    """Length of each sample."""

    def __post_init__(self) -> None:
        require(self.every_steps >= 1, "validation.every_steps", self.every_steps, "at least 1")
        # xxbos and xxpad are given, so that three tokens are the fewest with something to predict
        require(self.slice_tokens >= 3, "validation.slice_tokens", self.slice_tokens, "at least 3")
        require(self.num_samples >= 0, "validation.num_samples", self.num_samples, "at least 0")
        require(self.sample_tokens >= 8, "validation.sample_tokens", self.sample_tokens, "at least 8")


@dataclass(frozen=True)
class CheckpointConfig:
    """How often a run can be resumed from."""

    every_steps: int = 200
    """Steps between checkpoints."""
    keep: int = 2
    """Newest checkpoints to keep; the one with the lowest validation loss is kept besides."""

    def __post_init__(self) -> None:
        require(self.every_steps >= 1, "checkpoint.every_steps", self.every_steps, "at least 1")
        require(self.keep >= 1, "checkpoint.keep", self.keep, "at least 1")


@dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    shards: str = ""
    """Folder of shards, written by `pianogen shards`, or its URL."""
    out: str = ""
    """Run folder to create or to resume."""
    seed: int = 0
    """Of the initial weights, the sample order, transposition, dropout and samples."""
    global_batch: int = 64
    """Excerpts in one optimizer step, over all ranks; the sample order depends on it and not on the ranks."""
    micro_batch: int | None = None
    """Excerpts that one rank holds at once; by default its whole share. Smaller ones accumulate gradients."""
    deepspeed: str | None = None
    """A DeepSpeed file such as configs/deepspeed/zero2.json; without one, every rank holds the whole model."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the matrix products; weights, state and loss stay in fp32."""
    rank_timeout_s: float = 600.0
    """Longest that ranks wait for one of them; then the job ends and names it."""
    resume: Literal["auto", "never"] = "auto"
    """auto: go on from the newest whole checkpoint in `out`; never: refuse a folder that has one."""
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)

    def __post_init__(self) -> None:
        require(self.global_batch >= 1, "global_batch", self.global_batch, "at least 1")
        micro = self.micro_batch
        require(micro is None or micro >= 1, "micro_batch", micro, "at least 1")
        require(self.rank_timeout_s >= 1, "rank_timeout_s", self.rank_timeout_s, "at least 1")


@dataclass(frozen=True)
class SweepConfig:
    """How settings are searched; what each trial trains with is a TrainConfig."""

    trials: int | None = None
    """Trials in all, over all workers and calls; by default 20, or the whole grid."""
    grid: bool = False
    """Try every combination instead of letting Optuna choose; ranges then need a step."""
    prune: bool = True
    """Give a trial up when its best validation NLL is above the median of finished trials at the same step."""
    prune_after: int = 5
    """Trials that must have finished before one is given up."""

    def __post_init__(self) -> None:
        require(self.trials is None or self.trials >= 1, "trials", self.trials, "at least 1")
        require(self.prune_after >= 1, "prune_after", self.prune_after, "at least 1")


@dataclass(frozen=True)
class EvaluateConfig:
    """What to score, and with which weights."""

    split: Literal["train", "validation", "test"] | None = None
    """One split; by default test, and train beside it."""
    checkpoint: str = "best"
    """best (lowest validation loss), last, or a step number."""
    train_tokens: int = 500_000
    """Size of the recorded subset that stands for the training split; a whole split is at most its own size."""
    shards: str | None = None
    """Where the shards lie now, if they have moved since training; a folder or a URL."""
    lanes: int = 64
    """Performances scored side by side."""

    def __post_init__(self) -> None:
        require(self.train_tokens >= 1, "train_tokens", self.train_tokens, "at least 1")
        require(self.lanes >= 1, "lanes", self.lanes, "at least 1")


@dataclass(frozen=True)
class GenerateConfig:
    """How pieces are drawn from a trained model."""

    num: int = 8
    """Pieces to make of each run, prompt and seed."""
    seed: int = 0
    """Piece i is drawn from (seed, i, position) alone, whatever the batch."""
    num_seeds: int = 1
    """Seeds to make pieces of: `seed` and those that follow it."""
    batch: int = 64
    """Pieces drawn side by side."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU where there is one. It rounds otherwise than a CPU, so that a piece may differ between the two."""
    prompt: str | None = None
    """A MIDI file or score to continue, or a folder of them; without one a piece begins from nothing."""
    prompt_seconds: float | None = None
    """How much of the prompt to use, in its own seconds; all of it by default."""
    prompt_bars: float | None = None
    """How much of the prompt to use, in bars."""
    tokens: int | None = None
    """Longest length in tokens, the prompt included; 1024 when no length is given."""
    bars: float | None = None
    """Longest length in bars after the prompt; a bar is 16 steps unless the prompt has a time signature."""
    seconds: float | None = None
    """Longest length in seconds after the prompt."""
    min_tokens: int | None = None
    """Tokens before which a piece may not end."""
    min_bars: float | None = None
    """Bars after the prompt before which a piece may not end."""
    min_seconds: float | None = None
    """Seconds after the prompt before which a piece may not end."""
    temperature: float = 1.0
    """Flattens (above 1) or sharpens (below 1) the choice of notes and waits."""
    duration_temperature: float | None = None
    """The same for lengths; by default as `temperature`."""
    top_k: int | None = None
    """Choose among the k likeliest words."""
    top_p: float | None = None
    """Choose among the likeliest words that together hold this probability."""
    min_p: float | None = None
    """Choose among words at least this likely relative to the likeliest."""
    musicxml: bool = False
    """Also write a score of each piece."""
    piano_roll: bool = False
    """Also write a picture of each piece, the prompt marked."""
    checkpoint: str = "best"
    """best (lowest validation loss), last, or a step number."""
    part: str | None = None
    """K/N, K from 0: make every N-th piece from the K-th on, as one of the N tasks of an array."""

    def __post_init__(self) -> None:
        part_of(self.part)
        require(self.num >= 1, "num", self.num, "at least 1")
        require(self.num_seeds >= 1, "num_seeds", self.num_seeds, "at least 1")
        require(self.batch >= 1, "batch", self.batch, "at least 1")
        require(self.temperature > 0, "temperature", self.temperature, "above 0")
        warmth = self.duration_temperature
        require(warmth is None or warmth > 0, "duration_temperature", warmth, "above 0")
        require(self.top_k is None or self.top_k >= 1, "top_k", self.top_k, "at least 1")
        for name in ("top_p", "min_p"):
            share = getattr(self, name)
            require(share is None or 0 < share <= 1, name, share, "above 0 and at most 1")
        for name in ("tokens", "bars", "seconds", "prompt_seconds", "prompt_bars"):
            length = getattr(self, name)
            require(length is None or length > 0, name, length, "above 0")


@dataclass(frozen=True)
class ShardsConfig:
    """The preprocessing job."""

    split: Literal["official", "random", "composition", "csv"] | None = None
    """official: MAESTRO's own; random: a tenth of the files each; composition: none on two sides; csv: as in `list`."""
    list: str | None = None  # named as the flag users type; nothing below uses the builtin
    """A csv in MAESTRO's form: only its rows are used, and `--split csv` takes its split."""
    seed: int = 0
    """Of the random and composition splits."""
    workers: int = 1
    """Processes that read and tokenize; the output does not depend on their number."""
    version: Literal["v1.0.0", "v2.0.0", "v3.0.0"] | None = None
    """MAESTRO version: what to download, by default v3.0.0; with `archive`, what that must be."""
    archive: str | None = None
    """A MAESTRO zip that is already there; used as it is, never extracted."""
    tempo_variants: tuple[float, ...] = ()
    """Tempo factors, 0.9 to 1.1, of further training members, such as "[0.95,1.05]"."""
    shard_mb: float = 16.0
    """Size at which the next shard begins, in MB of tokens."""
    max_file_mb: float = 16.0
    """A larger source file is quarantined."""
    max_notes: int = 1_000_000
    """A performance with more notes is quarantined."""
    part: str | None = None
    """K/N, K from 0: only read every N-th file from the K-th on, for a later job without it, which makes the shards."""
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)

    def __post_init__(self) -> None:
        part_of(self.part)
        require(self.workers >= 1, "workers", self.workers, "at least 1")
        require(self.shard_mb > 0, "shard_mb", self.shard_mb, "above 0")
        require(self.max_file_mb > 0, "max_file_mb", self.max_file_mb, "above 0")
        require(self.max_notes >= 1, "max_notes", self.max_notes, "at least 1")
        for factor in self.tempo_variants:
            require(0.9 <= factor <= 1.1 and factor != 1, "tempo_variants", factor, "from 0.9 to 1.1 and not 1")


def to_dict(settings: Any) -> dict[str, Any]:
    """Write settings as plain nested values, ready for YAML or JSON."""
    return json.loads(json.dumps(asdict(settings)))


def from_dict(kind: type[Settings], values: dict[str, Any]) -> Settings:
    """Read what `to_dict` wrote.

    Raises:
        SettingError: A name is unknown or a value breaks its rule.
    """
    hints = get_type_hints(kind)
    require(isinstance(values, dict), kind.__name__, values, "settings by name")
    unknown = sorted(set(values) - set(hints))
    require(not unknown, kind.__name__, unknown, f"made of {', '.join(hints)}; was it written by another version?")
    return kind(**{name: _read(hints[name], value) for name, value in values.items()})


def _read(hint: Any, value: Any) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        return from_dict(hint, value)
    return tuple(value) if isinstance(value, list) else value
