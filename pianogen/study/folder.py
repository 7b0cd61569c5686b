"""The folder of a study, which appears whole: it is made beside its place under a temporary name, and renamed.

DIR/design.json     what is compared, how it is analysed, who is left out
DIR/clips/ID.mp3    the clips; a name says nothing about its origin
DIR/settings.json   how the clips were made
DIR/sessions.json   which clips each rater hears, in which order: all that the server needs
DIR/key.json        what each clip is: kept from raters, needed for the results
DIR/key/ID.mid      the notes of each rated clip at 120 quarters per minute: kept with the key, for `judge`'s measures
DIR/consent.txt     what a lab adds to the page of consent, if anything
DIR/codes.txt       codes of invitation, if there are any
DIR/answers.sqlite  written by `pianogen study serve`
DIR/results/        written by `pianogen study results`
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from pianogen.errors import StudyError
from pianogen.files import fsync_path, write_json
from pianogen.folders import run_above, shards_above
from pianogen.locks import FileLock, LockHeldError
from pianogen.study.design import Design, Keyed, Sessions

_T = TypeVar("_T")


class StudyFolder:
    """The files of a study."""

    def __init__(self, folder: Path) -> None:
        """Name a folder; nothing is read."""
        self.path = folder
        self.clips, self.answers, self.results = folder / "clips", folder / "answers.sqlite", folder / "results"

    @property
    def key_path(self) -> Path:
        """Where the key is, unless it was moved away from the server."""
        return self.path / "key.json"

    def clip(self, name: str) -> Path:
        """The sound of a clip."""
        return self.clips / f"{name}.mp3"

    def notes(self, name: str, key_path: Path | None = None) -> Path:
        """The MIDI file of a rated clip's notes, beside the key."""
        return (key_path or self.key_path).with_suffix("") / f"{name}.mid"

    def text(self, name: str) -> str:
        """A text that the lab may write or change; empty if there is none.

        Raises:
            StudyError: It is not UTF-8.
        """
        path = self.path / name
        try:
            return path.read_text("utf-8-sig") if path.is_file() else ""
        except UnicodeError as error:
            raise StudyError(f"{path} is not UTF-8 text; save it as UTF-8") from error

    def write(self, design: Design, sessions: Sessions, key: Mapping[str, Keyed]) -> None:
        """Write everything but the clips; design.json last, so that a folder with one is complete."""
        write_json(self.key_path, {name: asdict(entry) for name, entry in key.items()})
        write_json(self.path / "sessions.json", asdict(sessions))
        write_json(self.path / "design.json", asdict(design))

    def design(self) -> Design:
        """Read design.json.

        Raises:
            StudyError: It is missing or damaged.
        """
        design, path = self._read(self.path / "design.json", Design), self.path / "design.json"
        try:
            design.pairs()
        except (KeyError, ValueError) as error:
            raise StudyError(f"{path} is damaged: a hypothesis is not 'A < B' with the names of conditions") from error
        return design

    def sessions(self) -> Sessions:
        """Read sessions.json.

        Raises:
            StudyError: It is missing or damaged.
        """
        sessions, path = self._read(self.path / "sessions.json", Sessions), self.path / "sessions.json"
        if not (sessions.sound_check and sessions.sessions and all(sessions.sessions)):
            raise StudyError(f"{path} is damaged: there is no sound check, or a session without pages")
        pages = [*sessions.sound_check, *(page for session in sessions.sessions for page in session)]
        if unknown := {*(page.clip for page in pages), *sessions.examples} - sessions.seconds.keys():
            raise StudyError(f"{path} is damaged: seconds: the length of the clip {min(unknown)} is missing")
        return sessions

    def key(self, path: Path | None = None) -> dict[str, Keyed]:
        """Read the key, from another place if it was moved.

        Raises:
            StudyError: It is missing or damaged.
        """
        return self._read(path or self.key_path, dict[str, Keyed])

    def _read(self, path: Path, kind: type[_T]) -> _T:
        try:
            return TypeAdapter(kind).validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise StudyError(f"{path} is missing; `pianogen study new {self.path}` makes a study") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise StudyError(f"{path} is damaged: {where or 'content'}: {first['msg']}") from error
        except OSError as error:
            raise StudyError(f"{path} cannot be read: {error.strerror}") from error


def refuse_place(folder: Path) -> None:
    """Refuse a place where there is something, or that belongs to a run or to shards.

    Raises:
        StudyError: It does.
    """
    if run := run_above(folder):
        raise StudyError(f"{folder} is in the run folder {run}; make the study in another folder")
    if shards := shards_above(folder):
        raise StudyError(f"{folder} is in the shards {shards}; make the study in another folder")
    if folder.is_dir() and not any(folder.iterdir()):
        if not folder.name:  # a study is made beside its folder, under a name made of the folder's
            raise StudyError(f"the folder {folder} is given without its name; give its name, or that of a new folder")
        return
    if (folder / "design.json").exists():
        raise StudyError(f"{folder} holds a study already, which is never changed; name another folder")
    if folder.exists() or folder.is_symlink():
        raise StudyError(f"{folder} exists and is not an empty folder; name another one")


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to write to, which is moved to `folder` at the end; what an interrupted call left is removed.

    Raises:
        StudyError: The folder cannot be created, or another process is making the same study.
    """
    refuse_place(folder)
    staging = folder.parent / f".{folder.name}.building"
    try:
        staging.mkdir(parents=True, exist_ok=True)
        lock = FileLock(staging, folder=True, wait=False)
    except LockHeldError as error:
        raise StudyError(f"another process is making {folder}; wait for it, or name another folder") from error
    except OSError as error:
        raise StudyError(f"cannot create the folder {folder}: {error.strerror}; choose another") from error
    with lock:
        try:
            _empty(staging)
            yield staging
            refuse_place(folder)
            staging.rename(folder)  # replaces an empty folder
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    fsync_path(folder.parent)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
