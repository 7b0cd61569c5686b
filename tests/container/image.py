"""The Dockerfile's steps in an empty folder that stands for the image's root; what apt-get installs is left out.

Python is this suite's, and torch the build that pip takes here. PATH has shells and Python alone: the image has no git,
and no step may need its compiler.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from dockerfile import ROOT, copied, instructions

STRANGER = ("unshare", "--user", "--map-user=12345", "--map-group=12345")  # neither root nor in /etc/passwd
# how this machine reaches its package registry, which is no matter of the image's
_NETWORK = ("PIP_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "no_proxy")


class Image:
    """A folder with what the image would hold, and the environment of its processes."""

    def __init__(self, folder: Path) -> None:
        self.root, self.workdir = folder, folder
        tools = folder / "usr/bin"
        for made in (tools, folder / "tmp"):
            made.mkdir(parents=True)
        for name, program in (("sh", "/bin/sh"), ("bash", "/bin/bash"), ("python3", _python())):
            (tools / name).symlink_to(program)
        self.environment = {"PATH": str(tools)}
        for word, told in instructions():
            self._step(word, told)

    def _step(self, word: str, told: str) -> None:
        if word == "WORKDIR":
            self.workdir = self.root / told.strip("/")
            self.workdir.mkdir(parents=True)
        elif word == "ENV":
            name, _, value = told.partition("=")
            self.environment[name] = self._here(value).replace("$PATH", self.environment["PATH"])
        elif word == "COPY":
            self._copy(told)
        elif word == "RUN" and not told.startswith("apt-get"):
            network = {name: value for name, value in os.environ.items() if name.startswith(_NETWORK)}
            _succeed(["sh", "-c", self._here(told)], self.workdir, {**self.environment, **network})

    def _here(self, text: str) -> str:
        """With the absolute paths of the image in the folder that stands for its root."""
        return re.sub(r"(?<![^ :])/", f"{self.root}/", text)

    def _copy(self, told: str) -> None:
        for file in copied(told):
            (self.workdir / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, self.workdir / file)

    def mount(self, folder: Path) -> None:
        """Give the image's processes a folder to write to, as runs; what was copied is root's."""
        (self.workdir / "runs").symlink_to(folder)
        subprocess.run(["chmod", "-R", "a-w", self.workdir], check=True)

    def run(self, *words: str) -> str:
        """What a program in the image says, as a user whom it does not know."""
        return _succeed([*STRANGER, *words], self.workdir, self.environment)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """The same as process 1, which gets no signal that it does not handle."""
        command = [*STRANGER, "--pid", "--fork", "--kill-child", *words]
        environment = {**self.environment, "PYTHONUNBUFFERED": "1"}
        where, pipe = self.workdir, subprocess.PIPE
        return subprocess.Popen(_found(command), cwd=where, env=environment, stdout=pipe, stderr=pipe, text=True)


def _python() -> str:
    """An interpreter that is not of this suite's virtual environment."""
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")


def _found(command: list[str]) -> list[str]:
    """With the whole path of the first word, which the image has not on its PATH."""
    return [shutil.which(command[0]) or command[0], *command[1:]]


def _succeed(command: list[str], where: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(_found(command), cwd=where, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
    return done.stdout + done.stderr


def skip_without_strangers() -> None:
    """Skip where this system lets nobody make a user namespace."""
    try:
        allowed = subprocess.run([*STRANGER, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("unshare --user is not allowed here, so no process can be a user that nobody knows")
