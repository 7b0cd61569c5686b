"""Compressed MusicXML (.mxl): a zip archive whose META-INF/container.xml names the score.

Reference: MusicXML 4.0, "Compressed .MXL files": the first rootfile is the score, whatever its suffix.
"""

import io
import xml.etree.ElementTree as ElementTree
import zipfile
import zlib
from pathlib import PurePosixPath

from pianogen.errors import SourceError
from pianogen.tokens.scores.safe_xml import parse_xml

_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")  # of a member, and of an archive without any
_CONTAINER = "META-INF/container.xml"


def unpack(data: bytes, max_bytes: int) -> bytes:
    """The score inside a compressed file; data that is not an archive is returned unchanged.

    Raises:
        SourceError: The archive is damaged, has no score, or the score is larger than `max_bytes`.
    """
    if not data.startswith(_ZIP_SIGNATURES):
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(archive, _score_member(archive, max_bytes), max_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise SourceError(f"it is not a valid .mxl archive: {' '.join(str(error).split())}") from error


def _score_member(archive: zipfile.ZipFile, max_bytes: int) -> zipfile.ZipInfo:
    members = {member.filename: member for member in archive.infolist()}
    if _CONTAINER in members:
        name = _first_rootfile(parse_xml(_read(archive, members[_CONTAINER], max_bytes)))
        if name not in members:
            raise SourceError(f"its {_CONTAINER} names {name!r} as the score, which is not in the archive")
        return members[name]
    scores = [member for name, member in members.items() if _looks_like_a_score(PurePosixPath(name))]
    if len(scores) != 1:
        raise SourceError(f"it has no {_CONTAINER} and {len(scores)} possible scores; extract the score and use that")
    return scores[0]


def _first_rootfile(container: ElementTree.Element) -> str:
    for element in container.iterfind(".//{*}rootfile"):  # some programs write the container with a namespace
        return element.get("full-path", "")
    raise SourceError(f"its {_CONTAINER} names no score")


def _looks_like_a_score(path: PurePosixPath) -> bool:
    """Whether a member is MusicXML, and neither in macOS's __MACOSX nor in META-INF."""
    return path.suffix.lower() in (".musicxml", ".xml") and path.parts[0] not in ("__MACOSX", "META-INF")


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, max_bytes: int) -> bytes:
    if member.file_size > max_bytes:
        raise SourceError(f"it has {member.file_size} bytes when unpacked; a score may have at most {max_bytes}")
    return archive.read(member)
