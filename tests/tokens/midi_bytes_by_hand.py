"""MIDI files built byte by byte, so that the reader is tested against the standard, not against the writer."""


def event(delta: int, *message: int) -> bytes:
    """A delta time below 2**28 and the bytes that follow it."""
    groups = [delta >> shift & 0x7F for shift in (21, 14, 7, 0)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1], *message])


def on(delta: int, pitch: int, channel: int = 0) -> bytes:
    """A note-on event."""
    return event(delta, 0x90 | channel, pitch, 64)


def off(delta: int, pitch: int, channel: int = 0) -> bytes:
    """A note-off event."""
    return event(delta, 0x80 | channel, pitch, 0)


def sustain(delta: int, value: int, channel: int = 0) -> bytes:
    """A sustain pedal event."""
    return event(delta, 0xB0 | channel, 64, value)


def tempo(delta: int, microseconds_per_quarter: int) -> bytes:
    """A tempo mark."""
    return event(delta, 0xFF, 0x51, 3, *microseconds_per_quarter.to_bytes(3))


def midi_file(*tracks: list[bytes], ticks_per_quarter: int = 480, num_tracks: int | None = None) -> bytes:
    """A file of format 1 whose header states `num_tracks` tracks, by default the true number."""
    header = b"MThd" + (6).to_bytes(4) + (1).to_bytes(2)
    header += (len(tracks) if num_tracks is None else num_tracks).to_bytes(2) + ticks_per_quarter.to_bytes(2)
    return header + b"".join(_chunk(b"".join([*events, event(0, 0xFF, 0x2F, 0)])) for events in tracks)


def _chunk(body: bytes) -> bytes:
    return b"MTrk" + len(body).to_bytes(4) + body
