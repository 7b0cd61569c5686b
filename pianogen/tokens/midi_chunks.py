"""The chunks of a MIDI file, made safe for symusic, which trusts what it reads.

It reads beyond a chunk that does not end inside the file, takes the bytes of an F7 event (a further part of a system
exclusive message, or an escape) for events with delta times, counts ticks in 32 bits, and lays the sequences of a file
of format 2 over each other. Nearly all tracks are passed on as they are, after a few numpy operations.

Reference: Standard MIDI Files 1.0.
"""

import numpy as np

from pianogen.errors import SourceError

_HEADER_BYTES = 14
_CHUNK_HEADER_BYTES = 8
_PADDING = bytes(64)  # symusic looks a few bytes ahead
_MAX_TICKS = 2**31 - 1  # in symusic's 32 bits
_MAX_DELTA = 2**28 - 1  # four bytes of seven bits
_META, _SYSEX, _ESCAPE = 0xFF, 0xF0, 0xF7
_END_OF_TRACK = 0x2F
_EMPTY_TEXT = b"\xff\x01\x00"  # an event that says nothing
_ONE_DATA_BYTE = (0xC0, 0xD0)  # program change and channel pressure; other channel messages have two


def whole_chunks(data: bytes, name: str) -> bytes:
    """The same file with every track checked to lie inside it, other chunks left out, and padding at the end.

    Raises:
        SourceError: It is no MIDI file, cut short, holds independent sequences, or is longer than 2**31 ticks.
    """
    if len(data) < _HEADER_BYTES or data[:4] != b"MThd":
        raise SourceError(f"{name} is no MIDI file: it does not begin with a whole MThd header")
    position = _CHUNK_HEADER_BYTES + int.from_bytes(data[4:8])
    promised, tracks = int.from_bytes(data[10:12]), []
    kind = _checked_format(int.from_bytes(data[8:10]), promised, name)
    while len(tracks) < promised:
        end = position + _CHUNK_HEADER_BYTES + int.from_bytes(data[position + 4 : position + 8])
        if end > len(data):
            raise SourceError(
                f"{name} is cut short: track {len(tracks) + 1} of {promised} does not end inside the file"
            )
        if data[position : position + 4] == b"MTrk":
            tracks.append(_safe_track(data[position + _CHUNK_HEADER_BYTES : end], name))
        position = end
    chunks = (b"".join((b"MTrk", len(track).to_bytes(4), track)) for track in tracks)
    return b"".join((b"MThd", (6).to_bytes(4), kind.to_bytes(2), data[10:_HEADER_BYTES], *chunks, _PADDING))


def _checked_format(kind: int, tracks: int, name: str) -> int:
    if kind > 2:
        raise SourceError(f"{name} is a MIDI file of format {kind}; only 0 and 1 can be read")
    if kind == 2 and tracks > 1:
        raise SourceError(f"{name} holds {tracks} independent sequences (MIDI format 2); give each a file of its own")
    return min(kind, 1)  # one sequence alone is a file of one track


def _safe_track(track: bytes, name: str) -> bytes:
    if _ESCAPE not in track and _most_ticks(track) <= _MAX_TICKS:
        return track
    return _Walk(track, name).without_sysex()


def _most_ticks(track: bytes) -> int:
    """An upper bound of a track's length, found without telling events apart.

    A delta time is a run of bytes above 127 and one below: as many as there are runs, each at its largest. Status bytes
    make the bound larger, never smaller.
    """
    high = np.frombuffer(track, dtype=np.uint8)
    runs = []
    for _ in range(4):  # how many places begin a run of 1, 2, 3 and 4
        runs.append(int(np.count_nonzero(high > 127)))
        if runs[-1] == 0:
            break
        high = high[:-1] & np.frombuffer(track, dtype=np.uint8)[len(runs) :]
    if len(runs) == 4 and runs[3] > 0:
        return _MAX_TICKS + 1  # perhaps a delta time of more than four bytes: walk and see
    return sum((count << 7 * (length + 2)) for length, count in enumerate(runs)) + (len(track) << 7)


class _Walk:
    """Goes over a track event by event."""

    def __init__(self, track: bytes, name: str) -> None:
        self._track, self._name = track, name
        self._position = 0

    def without_sysex(self) -> bytes:
        """The track up to its end mark, without system exclusive messages and escapes; other events keep their ticks.

        Where the events make no sense, the rest stays as it is, for the parser to refuse.

        Raises:
            SourceError: It is longer than 2**31 ticks.
        """
        pieces: list[bytes] = []
        copied = tick = status = 0
        dropped: int | None = None  # ticks of delta times that were left out since the last event that stays
        while self._position < len(self._track):
            begin = self._position
            try:
                delta = self._number()
                behind_delta = self._position
                status = self._skip_event(status)
            except (IndexError, ValueError):
                break
            tick += delta
            if tick > _MAX_TICKS:
                raise SourceError(
                    f"{self._name} is longer than 2**31 ticks, which no performance is; its delta times are broken"
                )
            first = self._track[behind_delta]
            if first in (_SYSEX, _ESCAPE):
                pieces.append(self._track[copied:begin])
                copied, dropped = self._position, (dropped or 0) + delta
            elif dropped is not None:
                pieces.append(_delta_time(dropped + delta))
                copied, dropped = behind_delta, None
            if first == _META and self._track[behind_delta + 1] == _END_OF_TRACK:
                return b"".join((*pieces, self._track[copied : self._position]))
        return b"".join((*pieces, self._track[copied:]))

    def _skip_event(self, running: int) -> int:
        """Move behind an event, and return the status that the next one may leave out."""
        status = self._track[self._position]
        if status in (_META, _SYSEX, _ESCAPE):
            self._position += 2 if status == _META else 1
            length = self._number()
            self._position += length
            if self._position > len(self._track):
                raise IndexError
            return running
        if status >= 0x80:
            self._position += 1
        else:
            status = running
        if not 0x80 <= status < _SYSEX:
            raise ValueError(status)
        self._position += 1 if status & 0xF0 in _ONE_DATA_BYTE else 2
        return status

    def _number(self) -> int:
        """A number of up to four bytes, seven bits each, the last one below 128."""
        value = 0
        for place in range(self._position, self._position + 4):
            byte = self._track[place]
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                self._position = place + 1
                return value
        raise ValueError(value)


def _delta_time(ticks: int) -> bytes:
    """A delta time; behind events that say nothing, where it is longer than one can be."""
    events = []
    while ticks > _MAX_DELTA:
        events.append(_delta_time(_MAX_DELTA) + _EMPTY_TEXT)
        ticks -= _MAX_DELTA
    groups = [ticks & 0x7F]
    while ticks := ticks >> 7:
        groups.append(ticks & 0x7F | 0x80)
    return b"".join((*events, bytes(reversed(groups))))
