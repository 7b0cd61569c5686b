"""The newest checkpoint of a run, and what it holds."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file

from pianogen.runs import open_run


def newest(run: str | Path) -> Path:
    """The folder of the newest checkpoint."""
    return open_run(run).find_checkpoint("last")


def tensors(run: str | Path, group: str | None = None) -> dict[str, torch.Tensor]:
    """One group of the newest checkpoint, such as `model`; or all of it, by names such as `model/decoder.weight`."""
    if group is not None:
        return load_file(newest(run) / f"{group}.safetensors")
    files = sorted(newest(run).glob("*.safetensors"))
    return {f"{file.stem}/{name}": value for file in files for name, value in load_file(file).items()}


def assert_same_tensors(got: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    """The same names, and equal values under each."""
    assert got.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(got[name], expected[name])] == []
