"""Settings of `pianogen train`."""

from dataclasses import asdict, dataclass, field
from typing import Literal

from pianogen.config.model import ModelConfig
from pianogen.config.rules import require


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
    """Share of the training performances to use; the paper tuned on a subsample."""

    def __post_init__(self) -> None:
        require(self.excerpt_tokens >= 2, "data.excerpt_tokens", self.excerpt_tokens, "at least 2")
        require(0.0 < self.fraction <= 1.0, "data.fraction", self.fraction, "above 0 and at most 1")


@dataclass(frozen=True)
class OptimConfig:
    """Adam or Muon with warm-up and cosine decay, both functions of the targets seen."""

    kind: Literal["adam", "muon"] = "adam"
    """adam; or muon: momentum made orthogonal for the matrices of hidden layers, Adam for all other parameters."""
    lr: float = 2e-3
    """Peak learning rate of Adam."""
    muon_lr: float = 0.02
    """Peak learning rate of Muon, which follows the same schedule."""
    beta1: float = 0.9
    """Adam's decay of the gradient mean."""
    beta2: float = 0.999
    """Adam's decay of the squared-gradient mean."""
    ema: float | None = None
    """Decay a step of an exponential moving average of the weights, such as 0.999; validation, evaluation and
    generation then use the average. With --deepspeed every step gathers all weights for it."""
    clip_norm: float = 1.0
    """Largest gradient norm over all parameters."""
    warmup_tokens: int = 100_000
    """Targets over which the learning rate rises linearly from 0."""
    horizon_tokens: int | None = None
    """Targets at which the cosine ends; by default the budget in tokens or steps, otherwise one epoch."""
    final_lr_ratio: float = 0.05
    """Learning rate at the horizon and beyond, as a share of the peak."""

    def __post_init__(self) -> None:
        require(self.lr > 0, "optim.lr", self.lr, "above 0")
        require(self.muon_lr > 0, "optim.muon_lr", self.muon_lr, "above 0")
        require(0 <= self.beta1 < 1, "optim.beta1", self.beta1, "at least 0 and below 1")
        require(0 <= self.beta2 < 1, "optim.beta2", self.beta2, "at least 0 and below 1")
        require(self.ema is None or 0 < self.ema < 1, "optim.ema", self.ema, "above 0 and below 1")
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
    """Wall time spent training, over all attempts of the run."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            require(value is None or value > 0, f"budget.{name}", value, "above 0")


@dataclass(frozen=True)
class ValidationConfig:
    """What is evaluated during training, and how often."""

    every_steps: int = 200
    """Steps between validations."""
    slice_tokens: int = 100_000
    """Tokens of the validation split that each validation reads, always the same ones."""
    num_samples: int = 1
    """Pieces to generate at each validation, as MIDI and piano roll."""
    sample_tokens: int = 512
    """Length of each sample in tokens."""

    def __post_init__(self) -> None:
        require(self.every_steps >= 1, "validation.every_steps", self.every_steps, "at least 1")
        # xxbos and xxpad are given, so a prediction needs at least three tokens
        require(self.slice_tokens >= 3, "validation.slice_tokens", self.slice_tokens, "at least 3")
        require(self.num_samples >= 0, "validation.num_samples", self.num_samples, "at least 0")
        require(self.sample_tokens >= 8, "validation.sample_tokens", self.sample_tokens, "at least 8")


@dataclass(frozen=True)
class CheckpointConfig:
    """When checkpoints are written, and how many are kept."""

    every_steps: int = 200
    """Steps between checkpoints."""
    keep: int = 2
    """Newest checkpoints to keep, in addition to the one with the lowest validation loss."""

    def __post_init__(self) -> None:
        require(self.every_steps >= 1, "checkpoint.every_steps", self.every_steps, "at least 1")
        require(self.keep >= 1, "checkpoint.keep", self.keep, "at least 1")


@dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    shards: str = ""
    """Folder of shards written by `pianogen shards`, or its URL."""
    out: str = ""
    """Run folder to create or to resume."""
    seed: int = 0
    """Seed of the initial weights, the sample order, transposition, dropout and samples."""
    global_batch: int = 64
    """Excerpts per optimizer step, over all ranks; the sample order depends on it, not on the number of ranks."""
    micro_batch: int | None = None
    """Excerpts per forward pass on one rank, by default its whole share; smaller ones accumulate gradients."""
    deepspeed: str | None = None
    """A DeepSpeed file such as configs/deepspeed/zero2.json; without one, every rank holds the whole model."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the matrix products; auto: bf16 if the processor or GPU has it, otherwise fp32. Weights, state and
    loss stay in fp32."""
    ops: Literal["auto", "reference"] = "auto"
    """auto: compiled operations on CPUs, if there is a C compiler; reference: plain torch."""
    rank_timeout_s: float = 600.0
    """Longest time that ranks wait for another rank before the job ends and names it."""
    resume: Literal["auto", "never"] = "auto"
    """auto: resume from the newest complete checkpoint in `out`; never: refuse a folder that has one."""
    init: str | None = None
    """A run whose weights to start from, to fine-tune them on other shards: its folder, its URL, or `pretrained`, the
    model that ships with pianogen. Settings of the model that are not given are those of that run."""
    init_checkpoint: str = "best"
    """Checkpoint of `init`: best (lowest validation loss), last, or a step number."""
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
        require(self.init != "", "init", self.init, "a run folder, its URL, or pretrained")
        rule = "adam with --deepspeed, which splits the matrices that muon takes whole; leave it out to use DDP"
        require(not self.deepspeed or self.optim.kind == "adam", "optim.kind", self.optim.kind, rule)
        require(self.rank_timeout_s >= 1, "rank_timeout_s", self.rank_timeout_s, "at least 1")
