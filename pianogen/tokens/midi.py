"""MIDI files to notes in ticks, and note tables to MIDI files.

symusic does not check its input: a truncated chunk or a data byte above 127 can crash the process. So it only receives
tracks validated by pianogen/tokens/midi_chunks.py, and is configured to clip data bytes.
A pedal on a channel without notes in the same track is lost, since symusic drops such tracks. Shapes: N notes.

Reference: Standard MIDI Files 1.0.
"""

import math
from collections import defaultdict
from pathlib import Path

import numpy as np
from jaxtyping import Int
from symusic.core import ControlChangeTickList, NoteTickList, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from pianogen.errors import SourceError, TokenError
from pianogen.tokens.limited_file import read_limited
from pianogen.tokens.metre import COMMON_TIME, plausible_metre
from pianogen.tokens.midi_chunks import sanitize
from pianogen.tokens.notes import Notes, RawNotes
from pianogen.tokens.pedal import Pedals, union
from pianogen.tokens.tempo import DEFAULT_QUARTERS_PER_MINUTE, TempoMap

MAX_MIDI_BYTES = 64 * 2**20  # the longest MAESTRO file has 0.3 MB
TICKS_PER_QUARTER = 480
VELOCITY = 80
_MAX_TICK = 2**28 - 1  # the largest delta time a MIDI file can hold
_MICROSECONDS_PER_MINUTE = 60_000_000
_MAX_TEMPO = 2**24 - 1  # microseconds per quarter, three bytes
_SUSTAIN = 64  # controller number, and the value from which the pedal is down


def read_midi(source: Path | bytes) -> RawNotes:
    """Read a MIDI file: all tracks merged, without drums and notes that have no note-off.

    Raises:
        SourceError: The file is missing, too large, damaged, or holds no notes.
    """
    name = "MIDI data" if isinstance(source, bytes) else str(source)
    score = _parse(source if isinstance(source, bytes) else read_limited(source, MAX_MIDI_BYTES), name)
    tracks = [track for track in score.tracks if not track.is_drum and len(track.notes)]
    if not tracks:
        raise SourceError(f"{name} holds no notes (drums and notes without a note-off are left out)")
    onset, duration, pitch, velocity = _merged_notes(tracks)
    release = onset + duration
    tempo_map = _tempo_map(score)
    return RawNotes(
        onset=onset,
        duration=duration,
        pitch=pitch,
        ticks_per_quarter=score.ticks_per_quarter,
        pedals=union([_pedals(track, int(release.max())) for track in tracks]),
        seconds=tempo_map.seconds_at(int(release.max()), score.ticks_per_quarter),
        time_signature=_first_time_signature(score),
        tempo_map=tempo_map,
        velocity=velocity,
    )


def write_midi(
    notes: Notes, path: Path, *, steps_per_quarter: int = 4, quarters_per_minute: float = DEFAULT_QUARTERS_PER_MINUTE
) -> None:
    """Write a note table as a piano MIDI file; see `midi_bytes`."""
    data = midi_bytes(notes, steps_per_quarter=steps_per_quarter, quarters_per_minute=quarters_per_minute)
    path.write_bytes(data)


def midi_bytes(
    notes: Notes,
    *,
    steps_per_quarter: int = 4,
    quarters_per_minute: float = DEFAULT_QUARTERS_PER_MINUTE,
    time_signature: tuple[int, int] = COMMON_TIME,
) -> bytes:
    """Encode a note table as a MIDI file that reads back as the same table; the bytes are deterministic.

    A file without a time signature is in 4/4, so that one is written only for other metres that are plausible.
    The resolution is 480 ticks per quarter, or the smallest multiple in which a step is a whole number of ticks.
    Readers pair a note-off with the first open note-on of its key, and synthesizers stop all of them, so a note that
    starts while its key is held is written to another track.

    Raises:
        TokenError: The length or the tempo is outside the range of a MIDI file.
    """
    ticks_per_quarter = math.lcm(TICKS_PER_QUARTER, steps_per_quarter)
    step = ticks_per_quarter // steps_per_quarter
    if len(notes) and int((notes.onset + notes.duration).max()) * step > _MAX_TICK:
        raise TokenError(
            f"the notes last longer than {_MAX_TICK // step} steps, the limit of a MIDI file; write fewer notes"
        )
    tempo = round(_MICROSECONDS_PER_MINUTE / quarters_per_minute)
    if not 1 <= tempo <= _MAX_TEMPO:
        raise TokenError(
            f"a MIDI file cannot hold a tempo of {quarters_per_minute} quarters per minute; the slowest is 4"
        )
    score = ScoreTick(ticks_per_quarter)
    score.tempos.append(TempoTick(0, mspq=tempo))
    metre = plausible_metre(time_signature)
    if metre != COMMON_TIME:
        score.time_signatures.append(TimeSignatureTick(0, *metre))
    numbers = _track_numbers(notes)
    for number in range(int(numbers.max(initial=0)) + 1):
        score.tracks.append(_track(notes, numbers == number, step))
    return score.dumps_midi()


def _parse(data: bytes, name: str) -> ScoreTick:
    if len(data) > MAX_MIDI_BYTES:
        raise SourceError(f"{name} has more than {MAX_MIDI_BYTES} bytes, the limit for a MIDI file")
    sanitized = sanitize(data, name)
    try:
        score = ScoreTick.from_midi(sanitized, sanitize_data=True)
    except Exception as error:  # symusic raises any exception of its C++ code
        reason = " ".join(str(error).removeprefix("MiniMidi: ").removesuffix(": iostream error").split())
        raise SourceError(f"{name} is not a valid MIDI file: {reason}") from error
    if score.ticks_per_quarter == 0:
        raise SourceError(f"{name} has 0 ticks per quarter; a MIDI file must have at least 1")
    return score


def _merged_notes(tracks: list[TrackTick]) -> list[Int[np.ndarray, " N"]]:
    """Onset, duration, pitch and velocity of each note."""
    tables = [track.notes.numpy() for track in tracks]
    columns = ("time", "duration", "pitch", "velocity")
    return [np.concatenate([table[column] for table in tables], dtype=np.int64) for column in columns]


def _tempo_map(score: ScoreTick) -> TempoMap:
    marks = score.tempos.numpy()
    stated = marks["mspq"] > 0  # 0 would be infinitely fast
    tick = marks["time"][stated].astype(np.int64)
    if len(tick) == 0:
        return TempoMap()
    quarters_per_minute = _MICROSECONDS_PER_MINUTE / marks["mspq"][stated]
    if tick[0] > 0:
        tick = np.insert(tick, 0, 0)
        quarters_per_minute = np.insert(quarters_per_minute, 0, DEFAULT_QUARTERS_PER_MINUTE)
    return TempoMap(tick, quarters_per_minute)


def _first_time_signature(score: ScoreTick) -> tuple[int, int] | None:
    for mark in score.time_signatures:
        if mark.numerator > 0 and mark.denominator > 0:
            return mark.numerator, mark.denominator
    return None


def _pedals(track: TrackTick, end: int) -> Pedals:
    """A track's sustain pedal intervals; a pedal that is never lifted holds until `end`."""
    table = track.pedals.numpy()
    start = table["time"].astype(np.int64)
    lift = start + table["duration"]
    pressed = _never_lifted(track.controls)
    if pressed is None or pressed >= end:
        return start, lift
    return np.append(start, pressed), np.append(lift, end)


def _never_lifted(controls: ControlChangeTickList) -> int | None:
    """The tick of the last press, if no lift follows it; symusic omits such a pedal."""
    for window in (64, len(controls)):  # the last few events nearly always suffice
        events = controls[max(len(controls) - window, 0) :].numpy()
        sustain = events["number"] == _SUSTAIN
        down = events["value"][sustain] >= _SUSTAIN
        if len(down) and not down[-1]:
            return None
        if not down.all():
            return int(events["time"][sustain][np.flatnonzero(~down)[-1] + 1])
    return int(events["time"][sustain][0]) if len(down) else None


def _track_numbers(notes: Notes) -> Int[np.ndarray, " N"]:
    """For each note, the first track on which its key is free."""
    free_from: dict[int, list[int]] = defaultdict(list)  # key -> first free step, by track
    numbers = np.zeros(len(notes), dtype=np.int64)
    rows = zip(notes.onset.tolist(), notes.duration.tolist(), notes.pitch.tolist(), strict=True)
    for row, (onset, duration, pitch) in enumerate(rows):
        ends = free_from[pitch]
        number = next((index for index, end in enumerate(ends) if end <= onset), len(ends))
        ends[number : number + 1] = [onset + duration]
        numbers[row] = number
    return numbers


def _track(notes: Notes, chosen: np.ndarray, step: int) -> TrackTick:
    track = TrackTick("", 0, False)  # program 0 is the acoustic grand piano
    onset = (notes.onset[chosen] * step).astype(np.int32)
    duration = (notes.duration[chosen] * step).astype(np.int32)
    pitch = notes.pitch[chosen].astype(np.int8)
    track.notes = NoteTickList.from_numpy(onset, duration, pitch, np.full(len(onset), VELOCITY, dtype=np.int8))
    return track
