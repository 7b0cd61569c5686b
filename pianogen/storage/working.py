"""A folder on object storage that is written to: a local stand-in, from which every file goes there as it is made."""

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

_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class WorkingCopy:
    """The stand-in."""

    folder: Path
    remote: Remote

    def put(self, path: Path, data: bytes | str) -> None:
        """Write a file of the folder, here and there.

        Raises:
            StorageError: It cannot be written there.
        """
        write_atomic(path, data)
        self.remote.put(path, path.relative_to(self.folder).as_posix())

    def pull(self, is_needed: Callable[[str], bool], is_whole: Callable[[str], bool]) -> None:
        """Stand in for the files that are there: some whole, and of the others, which nobody reads, the names."""
        names = [name for name in self.remote.sizes() if is_needed(name) and all(map(is_name, name.split("/")))]
        whole = [name for name in names if is_whole(name)]
        for name in names:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).touch()
        if not whole:
            return
        with Progress(f"reading {self.remote.address}", total=len(whole), unit="files") as bar:

            def read(name: str) -> None:
                (self.folder / name).write_bytes(self.remote.read(name, _MOST_BYTES))
                bar.advance()

            self.remote.each(read, whole)


@contextmanager
def working_copy(url: str) -> Iterator[WorkingCopy]:
    """Lend a stand-in of a folder; what is said of it in an error is said of the URL.

    Raises:
        SettingError: Nothing can be written to the URL.
        StorageError: It cannot be reached.
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
