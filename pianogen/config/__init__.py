"""Every setting, with its unit, default and limits; the same dataclasses serve files, flags and code.

Defaults < `--config FILE.yaml` < `--model.hidden_size 512`. A run records its resolved settings.
"""

from pianogen.config.evaluate import EvaluateConfig
from pianogen.config.generate import GenerateConfig
from pianogen.config.judge import JudgeConfig
from pianogen.config.model import MODEL_KINDS, PAPER_KINDS, EmbeddingKind, Mask, ModelConfig
from pianogen.config.play import PlayConfig
from pianogen.config.render import RenderConfig
from pianogen.config.reproduce import JudgedPiecesConfig, ReproduceConfig, ShardSetConfig
from pianogen.config.rules import part_of, require
from pianogen.config.serialization import differences, flatten, from_dict, to_dict
from pianogen.config.shards import ShardsConfig
from pianogen.config.study import StudyNewConfig
from pianogen.config.study_serve import StudyServeConfig
from pianogen.config.study_simulate import StudySimulateConfig
from pianogen.config.sweep import SweepConfig
from pianogen.config.tokenizer import TokenizerConfig
from pianogen.config.train import BudgetConfig, CheckpointConfig, DataConfig, OptimConfig, TrainConfig, ValidationConfig

__all__ = [
    "MODEL_KINDS",
    "PAPER_KINDS",
    "BudgetConfig",
    "CheckpointConfig",
    "DataConfig",
    "EmbeddingKind",
    "EvaluateConfig",
    "GenerateConfig",
    "JudgeConfig",
    "JudgedPiecesConfig",
    "Mask",
    "ModelConfig",
    "OptimConfig",
    "PlayConfig",
    "RenderConfig",
    "ReproduceConfig",
    "ShardSetConfig",
    "ShardsConfig",
    "StudyNewConfig",
    "StudyServeConfig",
    "StudySimulateConfig",
    "SweepConfig",
    "TokenizerConfig",
    "TrainConfig",
    "ValidationConfig",
    "differences",
    "flatten",
    "from_dict",
    "part_of",
    "require",
    "to_dict",
]
