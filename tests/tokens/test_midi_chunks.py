"""Validation of MIDI chunks: what symusic would misread is removed or refused, and other events keep their ticks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from midi_bytes_by_hand import event, midi_file, off, on
from note_tables import rows_of

from pianogen.errors import SourceError
from pianogen.tokens.midi import read_midi

MOST = 2**28 - 1  # the largest delta time


def with_format(data: bytes, midi_format: int) -> bytes:
    """The same file with this format in its header."""
    return data[:8] + midi_format.to_bytes(2) + data[10:]


def sysex(delta: int, *payload: int, status: int = 0xF0) -> bytes:
    """A system exclusive message or, with status 0xF7, the continuation of one or an escape."""
    return event(delta, status, len(payload), *payload)


def test_a_message_in_several_parts_delays_no_note() -> None:
    parts = [sysex(100, 0x43, 0x12, 0), sysex(100, 0x43, 0x12, 0, status=0xF7), sysex(40, 0xF7, status=0xF7)]
    assert rows_of(read_midi(midi_file([on(0, 60), *parts, off(240, 60)]))) == [(0, 480, 60)]


def test_an_escape_delays_no_note() -> None:
    assert rows_of(read_midi(midi_file([on(0, 60), sysex(100, 0xF3, 1, status=0xF7), off(380, 60)]))) == [(0, 480, 60)]


def test_notes_between_the_parts_of_a_message_keep_their_ticks() -> None:
    track = [sysex(5, 1), on(10, 62), sysex(90, 2, 0xF7, status=0xF7), off(0, 62)]
    assert rows_of(read_midi(midi_file(track))) == [(15, 90, 62)]


def test_running_status_continues_after_a_message() -> None:
    track = [on(0, 60), sysex(5, 1, status=0xF7), event(7, 60, 0)]
    assert rows_of(read_midi(midi_file(track))) == [(0, 12, 60)]


def test_delta_times_around_a_message_may_exceed_28_bits_in_total() -> None:
    track = [on(0, 60), sysex(MOST, 1, status=0xF7), sysex(MOST, 1, status=0xF7), off(MOST, 60)]
    assert rows_of(read_midi(midi_file(track))) == [(0, 3 * MOST, 60)]


@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 200), st.integers(0, 2**22)),
            st.sampled_from(["note", "sysex", "escape", "text", "program", "running"]),
            st.lists(st.integers(0, 127), max_size=9),
        ),
        max_size=30,
    )
)
def test_events_keep_their_ticks_between_any_messages(script: list[tuple[int, str, list[int]]]) -> None:
    track, rows, tick = [on(0, 1), off(0, 1)], [(0, 0, 1)], 0
    for delta, kind, payload in script:
        tick += delta
        if kind == "note":
            track += [on(delta, 60), event(3, 0x80, 60, 0)]
            rows.append((tick, 3, 60))
            tick += 3
        elif kind == "running":
            track += [on(delta, 61), event(200, 61, 0)]
            rows.append((tick, 200, 61))
            tick += 200
        elif kind == "text":
            track.append(event(delta, 0xFF, 1, len(payload), *payload))
        elif kind == "program":
            track.append(event(delta, 0xC0, 5))
        else:
            track.append(sysex(delta, *payload, status=0xF0 if kind == "sysex" else 0xF7))
    track.append(sysex(0, 0xF7, status=0xF7))
    assert sorted(rows_of(read_midi(midi_file(track)))) == sorted(rows)


@pytest.mark.parametrize(
    "track",
    [
        [*[event(MOST, 0xB0, 1, 0)] * 9, on(0, 60), off(1, 60)],
        [*[event(MOST, 0xB0, 1, 0)] * 17, on(0, 60), off(1, 60)],  # wraps around to a positive tick
        [on(0, 60), *[event(2**21 - 1, 0xC0, 1)] * 1025, off(0, 60)],
        [on(0, 60), *[event(2**14 - 1, 0xC0, 1)] * 131_081, off(0, 60)],
        [on(0, 60), sysex(MOST, 0xF7), *[sysex(MOST, 1, status=0xF7)] * 8, off(0, 60)],
    ],
)
def test_a_track_longer_than_32_bits_of_ticks_is_refused(track: list[bytes]) -> None:
    with pytest.raises(SourceError, match="longer than 2\\*\\*31 ticks"):
        read_midi(midi_file(track))


def test_a_track_of_31_bits_of_ticks_is_read() -> None:
    track = [on(0, 60), *[event(MOST, 0xB0, 1, 0)] * 7, event(MOST, 0xB0, 1, 0), off(7, 60)]
    assert rows_of(read_midi(midi_file(track))) == [(0, 2**31 - 1, 60)]


def test_independent_sequences_are_refused() -> None:
    two = midi_file([on(0, 60), off(1, 60)], [on(0, 62), off(1, 62)])
    with pytest.raises(SourceError, match="holds 2 independent sequences"):
        read_midi(with_format(two, 2))


def test_a_single_independent_sequence_is_read() -> None:
    assert rows_of(read_midi(with_format(midi_file([on(0, 60), off(1, 60)]), 2))) == [(0, 1, 60)]


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(SourceError, match="of format 3"):
        read_midi(with_format(midi_file([on(0, 60), off(1, 60)]), 3))
