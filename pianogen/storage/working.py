"""A writable folder on object storage: a local working copy, from which every file is uploaded as it is written."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pianogen.errors import PianogenError
from pianogen.files import write_atomic
from pianogen.progress import Progress
from pianogen.storage.address import Address, is_name
from pianogen.storage.remote import Remote

_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class WorkingCopy:
    """A local folder whose files are uploaded as they are written."""

    folder: Path
    remote: Remote

    def put(self, path: Path, data: bytes | str) -> None:
        """Write a file of the folder, locally and remotely.

        Raises:
            StorageError: The file cannot be uploaded.
        """
        write_atomic(path, data)
        self.remote.put(path, path.relative_to(self.folder).as_posix())

    def pull(self, is_needed: Callable[[str], bool], is_whole: Callable[[str], bool]) -> None:
        """Create the needed files: downloaded if `is_whole`, else empty, since only their names are used."""
        names = [name for name in self.remote.sizes() if is_needed(name) and all(map(is_name, name.split("/")))]
        whole = [name for name in names if is_whole(name)]
        for name in names:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).touch()
        if not whole:
            return
        with Progress(f"reading {self.remote.address}", total=len(whole), unit="files") as bar:

            def read(name: str) -> None:
                (self.folder / name).write_bytes(self.remote.read(name, _MAX_BYTES))
                bar.advance()

            self.remote.each(read, whole)


@contextmanager
def working_copy(url: str) -> Iterator[WorkingCopy]:
    """A working copy of a folder; in error messages its local path is replaced by the URL.

    Raises:
        SettingError: The URL is read-only.
        StorageError: The URL cannot be reached.
    """
    address = Address.parse(url)
    address.require_writable()
    with tempfile.TemporaryDirectory(prefix="pianogen-") as scratch:
        folder = Path(scratch) / address.name
        folder.mkdir()
        try:
            yield WorkingCopy(folder, Remote(address))
        except PianogenError as error:
            raise type(error)(str(error).replace(str(folder), str(address))) from error
