"""Calling a kernel: its arguments are one C struct, sizes first, then pointers to contiguous CPU tensors."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


class Kernel:
    """One C function whose only argument is a struct of `sizes` (int) and `pointers`, in declaration order."""

    def __init__(self, library: ctypes.CDLL, name: str, sizes: Sequence[str], pointers: Sequence[str]) -> None:
        fields = [
            *((size, ctypes.c_int) for size in (*sizes, "threads")),
            *((one, ctypes.c_void_p) for one in pointers),
        ]
        self._fields = type(f"{name}_arguments", (ctypes.Structure,), {"_fields_": fields})
        self._function = library[name]
        self._function.argtypes, self._function.restype = [ctypes.c_void_p], None
        self._names = (*sizes, *pointers)

    def __call__(self, **values: int | Tensor | None) -> None:
        """Run it on torch's number of threads; every field must be given, a pointer may be None."""
        self.run(self.arguments(**values))

    def arguments(self, **values: int | Tensor | None) -> "Arguments":
        """The fields of `__call__`, to be used several times."""
        assert values.keys() == set(self._names), sorted(set(self._names) ^ values.keys())
        fields = self._fields()
        for name, value in values.items():
            if isinstance(value, Tensor):
                assert value.is_contiguous(), name
                assert value.device.type == "cpu", name
            setattr(fields, name, value.data_ptr() if isinstance(value, Tensor) else value)
        return Arguments(fields, [value for value in values.values() if isinstance(value, Tensor)])

    def run(self, arguments: "Arguments", **changes: int) -> None:
        """Run it with fields of which some are changed first: sizes, and addresses of what the caller keeps alive."""
        fields = arguments.fields
        fields.threads = torch.get_num_threads()
        for name, value in changes.items():
            setattr(fields, name, value)
        self._function(ctypes.addressof(fields))


@dataclass(frozen=True)
class Arguments:
    """The C struct, and the tensors that it points to."""

    fields: Any
    tensors: list[Tensor]
