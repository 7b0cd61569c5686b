"""`pianogen study serve`: the process that raters' browsers talk to."""

import getpass
import os
import sys
from pathlib import Path

from pianogen.config import StudyServeConfig
from pianogen.errors import SettingError, StudyError
from pianogen.study.app import application
from pianogen.study.codes import make_codes
from pianogen.study.folder import StudyFolder
from pianogen.study.owner import Owner
from pianogen.study.store import Store
from pianogen.web import Guard, Place, Sessions, serve
from pianogen.web.sessions import key_in

PASSWORD = "PIANOGEN_STUDY_PASSWORD"
"""The environment variable of the owner's password."""


def serve_study(path: Path, settings: StudyServeConfig) -> None:
    """Serve a study until SIGINT or SIGTERM; raters go on where they were when it is served again.

    Raises:
        StudyError: The folder is incomplete or damaged, or another process serves it.
        SettingError: The address cannot be bound, or a password is missing.
    """
    folder = StudyFolder(path)
    _check_clips(folder)
    place = Place(settings.port, settings.host, settings.public)
    owner = Owner(_password() if place.public else None)
    with Store(folder) as store, place.listen() as listening:
        new = make_codes(folder, store, settings.codes) if settings.codes else 0
        port = listening.getsockname()[1]
        key = Sessions(key_in(folder.path / "session.key"))
        guarded = Guard(application(folder, store, owner), key, place.names(port))
        serve(guarded, listening, on_start=lambda: _announce(folder, place, port, new, store.num_codes()))


def _check_clips(folder: StudyFolder) -> None:
    folder.design()
    for name in folder.sessions().seconds:
        if not folder.clip(name).is_file():
            raise StudyError(f"{folder.clip(name)} is missing, so {folder.path} is incomplete; make the study again")


def _password() -> str:
    if password := os.environ.get(PASSWORD):
        return password
    if not sys.stdin.isatty():
        raise SettingError(f"with --public, the page of results needs a password; give it as {PASSWORD}")
    return getpass.getpass("Password of the page of results: ")


def _announce(folder: StudyFolder, place: Place, port: int, new: int, codes: int) -> None:
    address = place.url(port)
    print(f"{folder.design().title}: {address}/  counts: {address}/results")
    for name in place.public:
        print(f"as {name}: needs a proxy with TLS in front, see docs/study.md")
    if codes:
        print(f"{codes} codes of invitation ({new} new): {folder.path / 'codes.txt'}")
    else:
        print("open to everyone who can reach it; --codes N asks each rater for a code")
    sys.stdout.flush()
