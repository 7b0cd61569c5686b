"""MIDI files: which notes are read, and that writing and reading are inverse."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from midi_bytes_by_hand import event, midi_file, off, on, sustain, tempo
from note_tables import note_tables, rows_of, table_of

from pianogen.config import TokenizerConfig
from pianogen.errors import SourceError, TokenError
from pianogen.tokens.codec import decode, encode
from pianogen.tokens.midi import MAX_MIDI_BYTES, midi_bytes, read_midi, write_midi
from pianogen.tokens.notes import Notes, quantise
from pianogen.tokens.vocab import ids_of

ONE_NOTE = midi_file([on(0, 60), off(480, 60)])


def through_a_file(notes: Notes, steps_per_quarter: int = 4) -> Notes:
    """Write, read and quantise."""
    raw = read_midi(midi_bytes(notes, steps_per_quarter=steps_per_quarter))
    return quantise(raw, TokenizerConfig(steps_per_quarter=steps_per_quarter))[0]


@given(note_tables(), st.one_of(st.just(4), st.integers(1, 48)))
def test_a_table_written_to_midi_is_read_back_unchanged(notes: Notes, steps_per_quarter: int) -> None:
    ids = encode(notes)
    assert encode(through_a_file(decode(ids), steps_per_quarter)).tolist() == ids.tolist()


@given(note_tables())
def test_no_track_has_overlapping_notes_of_one_key(notes: Notes) -> None:
    from symusic.core import ScoreTick

    for track in ScoreTick.from_midi(midi_bytes(notes)).tracks:
        rows = sorted((note.pitch, note.time, note.end) for note in track.notes)
        assert all(key != other or end <= start for (key, _, end), (other, start, _) in pairwise(rows))


def test_a_note_within_a_longer_note_of_its_key_keeps_both_lengths() -> None:
    words = "xxbos xxpad n60 d16 xxsep d4 n60 d4 xxeos"
    assert rows_of(through_a_file(decode(ids_of(words.split())))) == [(0, 16, 60), (4, 4, 60)]


def test_a_key_struck_again_as_it_is_released_sounds_twice() -> None:
    assert rows_of(through_a_file(table_of([(0, 4, 60), (4, 4, 60)]))) == [(0, 4, 60), (4, 4, 60)]


def test_leading_silence_survives() -> None:
    assert rows_of(through_a_file(table_of([(37, 1, 60)]))) == [(37, 1, 60)]


def test_a_file_has_480_ticks_per_quarter_at_120() -> None:
    raw = read_midi(midi_bytes(table_of([(0, 8, 60)])))
    assert (raw.ticks_per_quarter, raw.duration.tolist(), raw.seconds) == (480, [960], 1.0)


def test_the_tempo_written_is_the_tempo_read() -> None:
    raw = read_midi(midi_bytes(table_of([(0, 8, 60)]), quarters_per_minute=75))
    assert raw.tempo_map.quarters_per_minute.tolist() == [75.0]


def test_the_resolution_is_raised_if_a_step_is_not_whole_in_480_ticks() -> None:
    assert read_midi(midi_bytes(table_of([(0, 7, 60)]), steps_per_quarter=7)).ticks_per_quarter == 480 * 7


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    notes = table_of([(0, 16, 60), (4, 4, 60)])
    write_midi(notes, tmp_path / "piece.mid", quarters_per_minute=90)
    assert (tmp_path / "piece.mid").read_bytes() == midi_bytes(notes, quarters_per_minute=90)


def test_a_table_without_notes_is_a_file_without_notes() -> None:
    with pytest.raises(SourceError, match="holds no notes"):
        read_midi(midi_bytes(table_of([])))


def test_notes_too_long_for_a_midi_file_are_refused() -> None:
    with pytest.raises(TokenError, match="last longer than 2236962 steps"):
        midi_bytes(table_of([(3_000_000, 1, 60)]))


@pytest.mark.parametrize("quarters_per_minute", [1.0, 1e9])
def test_a_tempo_out_of_range_is_refused(quarters_per_minute: float) -> None:
    with pytest.raises(TokenError, match="cannot hold"):
        midi_bytes(table_of([(0, 1, 60)]), quarters_per_minute=quarters_per_minute)


def test_all_tracks_and_channels_are_merged_and_drums_left_out() -> None:
    raw = read_midi(midi_file([on(0, 60), off(10, 60)], [on(5, 40, 3), off(7, 40, 3), on(0, 36, 9), off(9, 36, 9)]))
    assert sorted(rows_of(raw)) == [(0, 10, 60), (5, 7, 40)]


def test_a_note_without_its_note_off_is_left_out() -> None:
    assert rows_of(read_midi(midi_file([on(0, 60), on(5, 62), off(5, 62)]))) == [(5, 5, 62)]


def test_a_note_on_of_velocity_0_is_a_note_off() -> None:
    assert rows_of(read_midi(midi_file([on(0, 60), event(7, 0x90, 60, 0)]))) == [(0, 7, 60)]


def test_seconds_follow_the_tempo_marks_to_the_last_release() -> None:
    raw = read_midi(midi_file([tempo(480, 1_000_000), event(9600, 0xFF, 1, 0)], [on(0, 60), off(960, 60)]))
    assert (raw.seconds, raw.ticks_at(1.0)) == (1.5, 720)


def test_an_infinitely_fast_tempo_is_ignored() -> None:
    assert read_midi(midi_file([tempo(0, 0), on(0, 60), off(480, 60)])).seconds == 0.5


def test_the_first_time_signature_counts() -> None:
    meters = [event(0, 0xFF, 0x58, 4, 3, 2, 24, 8), event(480, 0xFF, 0x58, 4, 6, 3, 24, 8)]
    assert read_midi(midi_file([*meters, on(0, 60), off(1, 60)])).time_signature == (3, 4)


def test_a_file_without_time_signature_has_none() -> None:
    assert read_midi(ONE_NOTE).time_signature is None


@pytest.mark.parametrize(
    ("moves", "pedals"),
    [
        ([], []),
        ([(10, 127), (20, 0)], [(10, 30)]),
        ([(10, 64), (5, 100), (5, 63)], [(10, 20)]),  # half pedals; 64 is down
        ([(10, 127), (20, 0), (5, 127)], [(10, 30), (35, 480)]),  # never lifted: until the last release
        ([(0, 127)], [(0, 480)]),
        ([(0, 127), *[(1, 127)] * 200], [(0, 480)]),
    ],
)
def test_the_sustain_pedal_is_read_as_intervals(moves: list[tuple[int, int]], pedals: list[tuple[int, int]]) -> None:
    events = [sustain(delta, value) for delta, value in moves]
    rest = 480 - sum(delta for delta, _ in moves)
    start, lift = read_midi(midi_file([on(0, 60), *events, off(rest, 60)])).pedals
    assert list(zip(start.tolist(), lift.tolist(), strict=True)) == pedals


def test_a_pedal_is_found_before_many_other_controls() -> None:
    others = [event(1, 0xB0, 67, value) for value in range(100)]
    start, lift = read_midi(midi_file([on(0, 60), sustain(9, 127), *others, off(400, 60)])).pedals
    assert (start.tolist(), lift.tolist()) == ([9], [509])


def test_the_pedals_of_all_tracks_are_merged() -> None:
    left = [on(0, 40), sustain(0, 127), sustain(100, 0), off(400, 40)]
    right = [on(0, 70), sustain(50, 127), sustain(100, 0), off(400, 70)]
    start, lift = read_midi(midi_file(left, right)).pedals
    assert (start.tolist(), lift.tolist()) == ([0], [150])


def test_chunks_of_other_kinds_are_skipped() -> None:
    header, track = ONE_NOTE[:14], ONE_NOTE[14:]
    assert len(read_midi(header + b"XFIH" + (3).to_bytes(4) + b"abc" + track)) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not begin with a complete MThd header"),
        (b"MThd\0\0", "does not begin with a complete MThd header"),
        (b"no MIDI file at all", "does not begin with a complete MThd header"),
        (ONE_NOTE[:-5], "is truncated: track 1 of 1"),
        (midi_file([on(0, 60), off(1, 60)], num_tracks=2), "is truncated: track 2 of 2"),
        (ONE_NOTE[:4] + b"\xff\xff\xff\xff" + ONE_NOTE[8:], "is truncated"),
        (midi_file([on(0, 60), off(1, 60)], ticks_per_quarter=0), "0 ticks per quarter"),
        (midi_file([on(0, 60), off(1, 60)], ticks_per_quarter=0xE728), "is not a valid MIDI file"),
        (midi_file([event(0, 0x40, 0x40)]), "is not a valid MIDI file"),
        (midi_file([]), "holds no notes"),
        (midi_file([on(0, 36, 9), off(9, 36, 9)]), "holds no notes"),
        (midi_file([*[event(2**28 - 1, 0xB0, 1, 0)] * 9, on(0, 60), off(1, 60)]), "longer than 2**31 ticks"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(data: bytes, message: str) -> None:
    with pytest.raises(SourceError) as error:
        read_midi(data)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot read .*none\.mid: No such file"):
        read_midi(tmp_path / "none.mid")


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.mid"
    with path.open("wb") as file:
        file.truncate(MAX_MIDI_BYTES + 1)
    with pytest.raises(SourceError, match=r"huge\.mid has more than"):
        read_midi(path)


@given(st.data())
def test_no_damage_to_a_track_crashes_the_reader(data: st.DataObject) -> None:
    whole = midi_file([tempo(0, 400_000), sustain(0, 127), on(0, 60), off(9, 60), on(3, 72), sustain(2, 0), off(9, 72)])
    damaged = np.frombuffer(whole, dtype=np.uint8).copy()
    for index in data.draw(st.lists(st.integers(22, len(whole) - 1), max_size=12)):
        damaged[index] = data.draw(st.one_of(st.sampled_from([0, 0x7F, 0x80, 0xF0, 0xF7, 0xFF]), st.integers(0, 255)))
    try:
        raw = read_midi(damaged.tobytes())
    except SourceError:
        return
    assert len(raw) > 0
