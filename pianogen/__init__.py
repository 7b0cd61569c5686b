"""Human piano performances into models that write piano music.

`__all__` is the public interface; see docs/api.md. Each name is imported on first use, so `import pianogen` is cheap.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pianogen.api import decode, encode, evaluate, generate, load_model, open_run

__version__ = "0.1.0"
__all__ = ["decode", "encode", "evaluate", "generate", "load_model", "open_run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from pianogen import api

        return getattr(api, name)
    raise AttributeError(f"module 'pianogen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
