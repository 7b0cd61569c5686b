"""Where a model generates."""

from typing import Literal

import torch

from pianogen.errors import SettingError


def device_of(name: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """The device that the setting `device` means on this machine.

    Raises:
        SettingError: A GPU is asked for, and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise SettingError(
            "setting 'device' is 'cuda', but torch finds no GPU; --device auto uses one where there is one"
        )
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")
