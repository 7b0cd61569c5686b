"""Detect uninitialized memory: with deterministic algorithms, torch fills new memory with NaN."""

import ctypes
from collections.abc import Iterator

import pytest
import torch

from pianogen.ops.native import build


@pytest.fixture(autouse=True)
def _unwritten_memory_is_nan() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="session")
def _emulating_library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("kernels")
    return ctypes.CDLL(str(build.compile_kernels("cc", folder, "emulated", ("-DEMULATE_BF16",))))


@pytest.fixture
def emulated_bf16(_emulating_library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels whose two bfloat16 instructions are written out, so that any processor can run the others."""
    monkeypatch.setattr("pianogen.ops.recurrence.native.kernels", lambda: _emulating_library)
