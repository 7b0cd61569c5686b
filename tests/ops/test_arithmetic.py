"""What makes GPU arithmetic repeatable is set while it is wanted, and what is recorded is read from torch.

The flags are torch's own, which any machine can set and read; only whether there is a GPU is pretended. What they do is
tested on a GPU, in tests/train/test_on_gpu.py.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pianogen.ops.arithmetic import _REPRODUCIBLE, _Flags, arithmetic, reproducible_on_gpu

GPU, CPU = torch.device("cuda"), torch.device("cpu")
any_flags = st.builds(_Flags, *[st.booleans() for _ in fields(_Flags)])


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = _Flags.now()
    with mock.patch.dict(os.environ):
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
        yield
    before.set()


def pretend_gpu(there_is_one: bool = True) -> AbstractContextManager[object]:
    return mock.patch.object(torch.cuda, "is_available", return_value=there_is_one)


@given(flags=any_flags)
def test_the_flags_of_the_process_are_restored_even_after_an_error(flags: _Flags) -> None:
    flags.set()
    before = _Flags.now()
    with pytest.raises(LookupError, match="inside"), pretend_gpu(), reproducible_on_gpu():
        raise LookupError("inside" if _Flags.now() == _REPRODUCIBLE else "other flags")
    assert _Flags.now() == before


@given(flags=any_flags)
def test_without_a_gpu_nothing_is_set(flags: _Flags) -> None:
    flags.set()
    before = _Flags.now()
    with pretend_gpu(False), reproducible_on_gpu():
        assert (_Flags.now(), os.environ.get("CUBLAS_WORKSPACE_CONFIG")) == (before, None)


@pytest.mark.parametrize(
    ("workspace", "expected"),
    [
        (None, "bf16, no TF32, deterministic"),
        (":16:8", "bf16, no TF32, deterministic"),
        (":4096:2:16:8", "bf16, no TF32, not deterministic"),  # two sizes of buffers
    ],
)
def test_a_workspace_of_the_user_is_kept_and_judged(workspace: str | None, expected: str) -> None:
    if workspace:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = workspace
    with pretend_gpu(), reproducible_on_gpu():
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == (workspace or ":4096:8")
        assert arithmetic(GPU, bf16=True) == expected


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("deterministic", False, "fp32, no TF32, not deterministic"),
        ("cudnn_deterministic", False, "fp32, no TF32, not deterministic"),
        ("cudnn_tunes", True, "fp32, no TF32, not deterministic"),
        ("cudnn_tf32", True, "fp32, TF32, deterministic"),
        ("matmul_tf32", True, "fp32, TF32, deterministic"),
    ],
)
def test_every_flag_that_changes_the_result_changes_the_record(flag: str, value: bool, expected: str) -> None:
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    replace(_REPRODUCIBLE, **{flag: value}).set()
    assert arithmetic(GPU, bf16=False) == expected


@given(flags=any_flags, bf16=st.booleans())
def test_the_record_of_a_cpu_depends_on_the_precision_alone(flags: _Flags, bf16: bool) -> None:
    flags.set()
    assert arithmetic(CPU, bf16=bf16) == ("bf16" if bf16 else "fp32")
