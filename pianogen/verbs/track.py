"""`pianogen track`: open MLflow, mirror runs to it, or copy them to object storage."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jsonargparse import Namespace

from pianogen.errors import SettingError
from pianogen.parsing import Parser


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `track`."""
    parser.add_argument("action", type=Literal["ui", "sync"], help="ui: open MLflow; sync: mirror or copy runs.")
    parser.add_argument("runs", type=str, nargs="*", help="Run folders or pretrained; for ui, the folder of runs.")
    parser.add_argument("--to", type=str, help="For sync: copy finished runs below this URL instead of to MLflow.")
    parser.add_argument("--port", type=int, default=5000, help="Port of the UI.")


def run(arguments: Namespace) -> None:
    """Serve the UI, or mirror or copy runs."""
    from pianogen import track

    runs = [_folder(name) for name in arguments.runs]
    if arguments.action == "ui":
        track.ui(runs[0] if runs else Path("runs"), arguments.port)
    elif not runs:
        raise SettingError("track sync needs at least one run folder: pianogen track sync RUN")
    elif arguments.to is not None:
        _copy(runs, arguments.to)
    else:
        for path in runs:
            print(track.sync(path))


def _folder(name: str) -> Path:
    """The folder of a run, or of runs."""
    from pianogen.runs import local_run, writable

    return writable(local_run(name))


def _copy(runs: Sequence[Path], url: str) -> None:
    from pianogen.runs import store_runs

    for stored in store_runs(runs, url):
        print(f"{stored.run}: {stored.num_files} files ({stored.num_bytes / 1e6:.1f} MB) copied to {stored.url}")
