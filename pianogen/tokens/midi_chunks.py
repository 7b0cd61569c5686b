"""Validation of MIDI chunks before symusic parses them, since symusic does not check its input.

symusic reads beyond a chunk that extends past the end of the file, parses the bytes of an F7 event (the continuation of
a system exclusive message, or an escape) as events with delta times, counts ticks in 32 bits, and overlays the
sequences of a format 2 file. Nearly all tracks are passed on unchanged, after a few numpy operations.

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
_EMPTY_TEXT = b"\xff\x01\x00"  # an event without effect
_ONE_DATA_BYTE = (0xC0, 0xD0)  # program change and channel pressure; other channel messages have two


def sanitize(data: bytes, name: str) -> bytes:
    """The MIDI file with validated tracks, without other chunks, and with padding at the end.

    Raises:
        SourceError: It is not a MIDI file, is truncated, holds independent sequences, or is longer than 2**31 ticks.
    """
    if len(data) < _HEADER_BYTES or data[:4] != b"MThd":
        raise SourceError(f"{name} is not a MIDI file: it does not begin with a complete MThd header")
    position = _CHUNK_HEADER_BYTES + int.from_bytes(data[4:8])
    num_tracks, tracks = int.from_bytes(data[10:12]), []
    midi_format = _checked_format(int.from_bytes(data[8:10]), num_tracks, name)
    while len(tracks) < num_tracks:
        end = position + _CHUNK_HEADER_BYTES + int.from_bytes(data[position + 4 : position + 8])
        if end > len(data):
            raise SourceError(f"{name} is truncated: track {len(tracks) + 1} of {num_tracks} is incomplete")
        if data[position : position + 4] == b"MTrk":
            tracks.append(_safe_track(data[position + _CHUNK_HEADER_BYTES : end], name))
        position = end
    chunks = (b"".join((b"MTrk", len(track).to_bytes(4), track)) for track in tracks)
    return b"".join((b"MThd", (6).to_bytes(4), midi_format.to_bytes(2), data[10:_HEADER_BYTES], *chunks, _PADDING))


def _checked_format(midi_format: int, num_tracks: int, name: str) -> int:
    if midi_format > 2:
        raise SourceError(f"{name} is a MIDI file of format {midi_format}; only formats 0 and 1 can be read")
    if midi_format == 2 and num_tracks > 1:
        raise SourceError(
            f"{name} holds {num_tracks} independent sequences (MIDI format 2); save each as a separate file"
        )
    return min(midi_format, 1)  # a single sequence is the same as a file of one track


def _safe_track(track: bytes, name: str) -> bytes:
    if _ESCAPE not in track and _max_ticks(track) <= _MAX_TICKS:
        return track
    return _TrackParser(track, name).without_sysex()


def _max_ticks(track: bytes) -> int:
    """An upper bound of a track's length, computed without parsing events.

    A delta time is a run of bytes above 127 followed by one below; the bound sums the largest value of every run.
    Status bytes can only make the bound larger.
    """
    high = np.frombuffer(track, dtype=np.uint8)
    runs = []
    for _ in range(4):  # the number of runs of at least 1, 2, 3 and 4 bytes
        runs.append(int(np.count_nonzero(high > 127)))
        if runs[-1] == 0:
            break
        high = high[:-1] & np.frombuffer(track, dtype=np.uint8)[len(runs) :]
    if len(runs) == 4 and runs[3] > 0:
        return _MAX_TICKS + 1  # possibly a delta time of more than four bytes: parse the events
    return sum((count << 7 * (length + 2)) for length, count in enumerate(runs)) + (len(track) << 7)


class _TrackParser:
    """Parses a track event by event."""

    def __init__(self, track: bytes, name: str) -> None:
        self._track, self._name = track, name
        self._position = 0

    def without_sysex(self) -> bytes:
        """The track up to its end-of-track event, without system exclusive messages and escapes.

        Other events keep their ticks. A track is unchanged from its first malformed event on, so that symusic refuses
        it.

        Raises:
            SourceError: It is longer than 2**31 ticks.
        """
        pieces: list[bytes] = []
        copied = tick = status = 0
        dropped: int | None = None  # ticks of the events left out since the last event kept
        while self._position < len(self._track):
            begin = self._position
            try:
                delta = self._variable_length_quantity()
                after_delta = self._position
                status = self._skip_event(status)
            except (IndexError, ValueError):
                break
            tick += delta
            if tick > _MAX_TICKS:
                raise SourceError(f"{self._name} is longer than 2**31 ticks; its delta times are damaged")
            first = self._track[after_delta]
            if first in (_SYSEX, _ESCAPE):
                pieces.append(self._track[copied:begin])
                copied, dropped = self._position, (dropped or 0) + delta
            elif dropped is not None:
                pieces.append(_delta_time(dropped + delta))
                copied, dropped = after_delta, None
            if first == _META and self._track[after_delta + 1] == _END_OF_TRACK:
                return b"".join((*pieces, self._track[copied : self._position]))
        return b"".join((*pieces, self._track[copied:]))

    def _skip_event(self, running: int) -> int:
        """Skip an event, and return the running status after it."""
        status = self._track[self._position]
        if status in (_META, _SYSEX, _ESCAPE):
            self._position += 2 if status == _META else 1
            length = self._variable_length_quantity()
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

    def _variable_length_quantity(self) -> int:
        """A number of up to four bytes with seven bits each; the last byte is below 128."""
        value = 0
        for position in range(self._position, self._position + 4):
            byte = self._track[position]
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                self._position = position + 1
                return value
        raise ValueError(value)


def _delta_time(ticks: int) -> bytes:
    """Bytes of a delta time; one beyond 28 bits is split over events without effect."""
    events = []
    while ticks > _MAX_DELTA:
        events.append(_delta_time(_MAX_DELTA) + _EMPTY_TEXT)
        ticks -= _MAX_DELTA
    groups = [ticks & 0x7F]
    while ticks := ticks >> 7:
        groups.append(ticks & 0x7F | 0x80)
    return b"".join((*events, bytes(reversed(groups))))
