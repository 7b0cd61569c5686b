"""Compiles the kernels for this machine once, and finds them again: a shared library in the user's cache.

Its name has a hash of the sources, the compiler, the flags and the processor's features, so that different nodes with
one home directory never load each other's library, and a hash of its content, because loading a damaged library would
crash the process. A build writes to its own temporary directory and renames the result: a killed build blocks nobody.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pianogen.progress import console

_SOURCES = Path(__file__).parent
_FLAGS = (
    "-std=gnu11",
    "-O3",
    "-march=native",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wno-psabi",
    "-fopenmp",
    "-fPIC",
)
_BUILD_TIMEOUT_S = 60.0  # a build takes about a second


class _NotBuiltError(Exception):
    """Says in a few words why there are no kernels."""


@functools.cache
def kernels() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they cannot be had; the first call says why on the console."""
    try:
        return ctypes.CDLL(str(_library()))
    except (_NotBuiltError, OSError) as error:
        console.print(f"[yellow]note:[/] no compiled operations ({error}); training is slower without", soft_wrap=True)
        return None


def _library() -> Path:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise _NotBuiltError("no C compiler found; install gcc or clang")
    folder, name = _cache(), f"kernels-{_key(compiler)}"
    for path in sorted(folder.glob(f"{name}-*.so")):
        if path.stem == f"{name}-{_content_hash(path)}":
            return path
    return compile_kernels(compiler, folder, name)


def _content_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pianogen"


def _key(compiler: str) -> str:
    """What the bytes of the library depend on."""
    digest = hashlib.sha256()
    for source in sorted(_SOURCES.glob("*.[ch]")):
        digest.update(source.read_bytes())
    version = subprocess.run([compiler, "--version"], capture_output=True, timeout=_BUILD_TIMEOUT_S, check=False).stdout
    digest.update(b"\0".join([version, " ".join(_FLAGS).encode(), _processor().encode()]))
    return digest.hexdigest()[:16]


def _processor() -> str:
    """The kind of processor and its features, as the kernel lists them."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {features}"


def compile_kernels(compiler: str, folder: Path, name: str, flags: Sequence[str] = ()) -> Path:
    """Compile the kernels into `folder`/`name`-HASH.so, which appears complete or not at all; `flags` are added.

    Raises:
        OSError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            compiled, linked = (str(Path(temporary, file)) for file in ("kernels.o", "kernels.so"))
            # linked without -fopenmp: OpenMP's symbols are resolved in the library that torch has loaded
            for command in (
                [*_FLAGS, *flags, "-c", str(_SOURCES / "kernels.c"), "-o", compiled],
                ["-shared", compiled, "-o", linked],
            ):
                subprocess.run(
                    [compiler, *command], capture_output=True, timeout=_BUILD_TIMEOUT_S, check=True, text=True
                )
            return Path(linked).replace(folder / f"{name}-{_content_hash(Path(linked))}.so")
    except subprocess.CalledProcessError as error:
        lines = error.stderr.splitlines() or [f"exit status {error.returncode}"]
        reason = next((line for line in lines if "error" in line), lines[0])
        raise _NotBuiltError(f"{compiler} failed: {reason}") from error
    except subprocess.TimeoutExpired as error:
        raise _NotBuiltError(f"{compiler} took longer than {_BUILD_TIMEOUT_S:g} s") from error
