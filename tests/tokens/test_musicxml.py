"""MusicXML is read as sounding notes in exact ticks, or refused."""

import zipfile
from fractions import Fraction
from io import BytesIO

import pytest
from musicxml_by_hand import DIVISIONS, backup, bar, forward, note, one_part, partwise, rest, time, transpose
from note_tables import rows_of

from pianogen.errors import InconsistentScoreError, SourceError
from pianogen.tokens.notes import RawNotes
from pianogen.tokens.scores.musicxml import parse_musicxml
from pianogen.tokens.scores.mxl import unpack
from pianogen.tokens.scores.written import sounding_notes

GRACE, CUE = "<grace/>", "<cue/>"
SECOND_STAFF = "<staff>2</staff>"
MANY_BYTES = 2**20


def read(data: bytes) -> RawNotes:
    """The sounding notes."""
    return sounding_notes(parse_musicxml(data))


def rows(data: bytes) -> list[tuple[Fraction, Fraction, int]]:
    """Onset and duration in quarters, and pitch, sorted."""
    raw = read(data)
    quarter = raw.ticks_per_quarter
    return sorted((Fraction(onset, quarter), Fraction(length, quarter), pitch) for onset, length, pitch in rows_of(raw))


def tempo(quarters_per_minute: str, offset: str = "") -> str:
    """A direction with a sounding tempo."""
    return f'<direction><direction-type/>{offset}<sound tempo="{quarters_per_minute}"/></direction>'


def metronome(unit: str, per_minute: str) -> str:
    """A direction with a printed tempo."""
    mark = f"<metronome><beat-unit>{unit}</beat-unit><per-minute>{per_minute}</per-minute></metronome>"
    return f"<direction><direction-type>{mark}</direction-type></direction>"


def test_parts_are_merged_and_chords_are_their_notes() -> None:
    data = partwise([bar(1, note("C5", 8), note("E5", 8, chord=True))], [bar(1, note("C3", 16))])
    assert rows(data) == [(0, 2, 72), (0, 2, 76), (0, 4, 48)]


def test_a_chord_note_may_be_shorter_than_its_first() -> None:
    data = one_part(note("C5", 8), note("E5", 4, chord=True), note("D5", 4))
    assert rows(data) == [(0, 1, 76), (0, 2, 72), (2, 1, 74)]


def test_tied_notes_are_joined_across_bar_lines() -> None:
    first, last = bar(1, rest(12), note("C4", 4, tie="start")), bar(3, note("C4", 2, tie="stop"))
    assert rows(partwise([first, bar(2, note("C4", 16, tie="stop start")), last])) == [(3, Fraction(11, 2), 60)]


def test_a_single_tied_note_of_a_chord_is_joined() -> None:
    first = note("C4", 4, tie="start") + note("E4", 4, chord=True)
    assert rows(one_part(first, note("C4", 4, tie="stop"), note("F4", 4, chord=True))) == [
        (0, 1, 64),
        (0, 2, 60),
        (1, 1, 65),
    ]


def test_a_tie_across_staves_and_voices_is_joined() -> None:
    upper = bar(1, note("G4", 16, "<voice>1</voice>", tie="start"))
    lower = bar(2, rest(16), backup(16), note("G4", 8, "<voice>5</voice>", SECOND_STAFF, tie="stop"))
    assert rows(partwise([upper, lower])) == [(0, 6, 67)]


def test_a_tie_never_joins_another_part() -> None:
    data = partwise([bar(1, note("C4", 4, tie="start"))], [bar(1, rest(4), note("C4", 4, tie="stop"))])
    assert rows(data) == [(0, 1, 60), (1, 1, 60)]


def test_a_tie_without_a_continuation_changes_nothing() -> None:
    data = one_part(note("C4", 4, tie="start"), note("D4", 4), note("C4", 4, tie="stop"))
    assert rows(data) == [(0, 1, 60), (1, 1, 62), (2, 1, 60)]


def test_a_tie_with_only_its_start_marked_is_joined() -> None:
    assert rows(one_part(note("C4", 4, tie="start"), note("C4", 4), note("C4", 4))) == [(0, 2, 60), (2, 1, 60)]


def test_a_tie_prefers_the_note_marked_as_its_end() -> None:
    lower = note("C4", 4, tie="start") + note("C4", 4, tie="stop")
    assert rows(one_part(rest(4), note("C4", 12), backup(16), lower)) == [(0, 2, 60), (1, 3, 60)]


def test_two_ties_of_one_pitch_remain_two_notes() -> None:
    upper = note("C4", 8, tie="start") + note("C4", 4, tie="stop")
    lower = rest(4) + note("C4", 4, tie="start") + note("C4", 4, tie="stop")
    assert rows(one_part(upper, backup(12), lower)) == [(0, 3, 60), (1, 2, 60)]


def test_a_printed_tie_counts_without_a_sounding_one() -> None:
    tied = '<notations><tied type="{}"/></notations>'
    data = one_part(note("C4", 4, tied.format("start")), note("C4", 4, tied.format("stop")))
    assert rows(data) == [(0, 2, 60)]


def test_let_ring_is_not_a_tie() -> None:
    data = one_part(note("C4", 4, '<notations><tied type="let-ring"/></notations>'), note("C4", 4))
    assert rows(data) == [(0, 1, 60), (1, 1, 60)]


def test_grace_notes_are_left_out_and_counted() -> None:
    graces = [note("D4", None, GRACE), note("E4", None, GRACE), note("G4", None, GRACE, chord=True)]
    raw = read(one_part(*graces, note("C4", 4)))
    assert (rows_of(raw), raw.grace_notes) == ([(0, 1, 60)], 3)


def test_cue_notes_take_time_but_are_silent() -> None:
    assert rows(one_part(note("C4", 4, CUE), note("D4", 4))) == [(1, 1, 62)]


def test_notes_that_are_not_printed_sound() -> None:
    assert rows(one_part(note("C4", 4).replace("<note>", '<note print-object="no">'))) == [(0, 1, 60)]


def test_percussion_and_chord_symbols_are_silent() -> None:
    drum = "<note><unpitched/><duration>4</duration></note>"
    symbol = "<harmony><root><root-step>A</root-step></root><kind>minor</kind></harmony>"
    assert rows(one_part(drum, symbol, note("C4", 4))) == [(1, 1, 60)]


def test_tuplets_keep_exact_fractions() -> None:
    divisions = "<attributes><divisions>{}</divisions></attributes>"
    lengths = [Fraction(1, 3)] * 3 + [Fraction(1, 5)] * 5
    thirds, fifths = divisions.format(3) + note("C4", 1) * 3, divisions.format(5) + note("C4", 1) * 5
    data = one_part(thirds, fifths)
    assert [length for _, length, _ in rows(data)] == lengths
    assert read(data).ticks_per_quarter == 15


def test_divisions_are_those_of_the_part() -> None:
    other = "<attributes><divisions>2</divisions></attributes>"
    assert rows(partwise([bar(1, note("C5", 4))], [bar(1, other, note("C4", 4))])) == [(0, 1, 72), (0, 2, 60)]


@pytest.mark.parametrize(("alter", "pitch"), [("1", 61), ("-2", 58), ("0.5", 60), ("1.5", 62), ("-0.75", 59)])
def test_an_alteration_is_rounded_to_a_semitone(alter: str, pitch: int) -> None:
    assert rows(one_part(note("C4", 4, alter=alter))) == [(0, 1, pitch)]


def test_octave_shifts_and_clefs_change_no_pitch() -> None:
    shift = '<direction><direction-type><octave-shift type="down" size="8"/></direction-type></direction>'
    clef = (
        "<attributes><clef><sign>G</sign><line>2</line><clef-octave-change>-1</clef-octave-change></clef></attributes>"
    )
    assert rows(one_part(clef, shift, note("C5", 4))) == [(0, 1, 72)]


def test_a_transposing_instrument_is_read_at_sounding_pitch() -> None:
    data = one_part(transpose(-2, "<octave-change>-1</octave-change>"), note("D4", 4))
    assert rows(data) == [(0, 1, 48)]


def test_a_transposition_of_one_staff_does_not_change_the_others() -> None:
    data = one_part(transpose(-2, staff="2"), note("C5", 4), backup(4), note("C4", 4, SECOND_STAFF))
    assert rows(data) == [(0, 1, 58), (0, 1, 72)]


def test_a_transposition_applies_from_its_position_on_in_all_voices() -> None:
    data = one_part(note("C5", 4), transpose(1), note("C5", 4), backup(8), note("C4", 4), note("C4", 4))
    assert rows(data) == [(0, 1, 60), (0, 1, 72), (1, 1, 61), (1, 1, 73)]


def test_a_transposition_of_all_staves_ends_that_of_one() -> None:
    data = one_part(transpose(5, staff="1"), note("C4", 4), transpose(-2), note("C4", 4))
    assert rows(data) == [(0, 1, 65), (1, 1, 58)]


@pytest.mark.parametrize(("double", "pitch"), [("<double/>", 48), ('<double above="yes"/>', 72)])
def test_a_doubling_also_sounds_at_the_octave(double: str, pitch: int) -> None:
    assert {row[2] for row in rows(one_part(transpose(0, double), note("C4", 4)))} == {60, pitch}


def test_bars_of_equal_index_start_together() -> None:
    short = [bar(1, note("C3", 4)), bar(2, note("D3", 16))]
    assert rows(partwise([bar(1, note("C5", 16)), bar(2, note("D5", 16))], short))[2:] == [(4, 4, 50), (4, 4, 74)]


def test_a_part_that_ends_early_is_silent() -> None:
    data = partwise([bar(1, note("C5", 4))], [bar(1, note("C4", 4)), bar(2, note("D4", 4))])
    assert rows(data) == [(0, 1, 60), (0, 1, 72), (1, 1, 62)]


def test_a_pickup_is_as_long_as_its_notes() -> None:
    pickup = bar(0, time("4", "4"), note("G4", 4), implicit="yes")
    rests = bar(0, time("4", "4"), rest(16), implicit="yes")
    assert rows(partwise([pickup, bar(1, note("C5", 16))], [rests, bar(1, note("C4", 16))])) == [
        (0, 1, 67),
        (1, 4, 60),
        (1, 4, 72),
    ]


def test_an_empty_bar_is_as_long_as_its_time_signature() -> None:
    data = partwise([bar(1, time("3", "4")), bar(2, note("C4", 4))])
    assert rows(data) == [(3, 1, 60)]


def test_rests_written_twice_do_not_lengthen_a_bar() -> None:
    twice = [bar(1, time("4", "4"), rest(16), rest(16)), bar(2, note("C4", 16))]
    assert rows(partwise([bar(1, time("4", "4"), note("C5", 16)), bar(2, note("D5", 16))], twice))[1:] == [
        (4, 4, 60),
        (4, 4, 74),
    ]


def test_a_cadenza_over_rests_lasts_as_long_as_its_notes() -> None:
    solo, others = [bar(1, time("4", "4"), note("C5", 40))], [bar(1, time("4", "4"), rest(16)), bar(2, note("C4", 4))]
    assert rows(partwise(solo, others)) == [(0, 10, 72), (10, 1, 60)]


def test_notes_beyond_the_time_signature_in_one_part_only_are_refused() -> None:
    long, full = bar(7, time("4", "4"), note("C5", 24)), bar(7, time("4", "4"), note("C4", 16))
    with pytest.raises(InconsistentScoreError, match=r"bar 7 lasts 6 quarters in part P1.* and 4 in part P2"):
        read(partwise([long], [full]))


def test_bars_numbered_differently_are_refused() -> None:
    with pytest.raises(InconsistentScoreError, match="numbered 1 in part P1 and 2 in part P2"):
        read(partwise([bar(1, note("C5", 4))], [bar(2, note("C4", 4))]))


def test_parts_with_separate_bar_lines_are_refused() -> None:
    with pytest.raises(SourceError, match="has separate bar lines"):
        read(partwise([bar(1, note("C5", 4))], [bar("X1", note("C4", 4), non_controlling="yes")]))


def test_repeats_and_endings_are_not_expanded() -> None:
    sign = '<barline location="right"><ending number="1" type="stop"/><repeat direction="backward"/></barline>'
    assert len(read(one_part(note("C4", 4), sign))) == 1


def test_a_timewise_score_is_the_same_music() -> None:
    body = "".join(
        f'<measure number="{number}"><part id="P1">{first}{note("C5", 4)}</part><part id="P2">{second}</part></measure>'
        for number, first, second in ((1, DIVISIONS, DIVISIONS + note("C4", 8)), (2, "", note("D4", 4)))
    )
    data = f"<score-timewise>{body}</score-timewise>".encode()
    assert rows(data) == [(0, 1, 72), (0, 2, 60), (2, 1, 62), (2, 1, 72)]


@pytest.mark.parametrize(
    ("signatures", "expected"),
    [
        (time("3", "4") + time("4", "4"), (3, 4)),
        (time("3+2", "8"), (5, 8)),
        (time("2", "4").replace("</time>", "<beats>3</beats><beat-type>8</beat-type></time>"), (7, 8)),
        ("<attributes><time><senza-misura/></time></attributes>", None),
        ("", None),
    ],
)
def test_the_first_time_signature_counts(signatures: str, expected: tuple[int, int] | None) -> None:
    assert read(one_part(signatures, note("C4", 4))).time_signature == expected


@pytest.mark.parametrize(
    ("marks", "seconds"),
    [
        (tempo("60"), 4.0),
        (metronome("half", "30"), 4.0),
        (metronome("quarter", "60").replace("<per", "<beat-unit-dot/><per"), 8 / 3),
        (metronome("quarter", "240") + tempo("60"), 4.0),  # the sounding tempo counts
        (metronome("quarter", "about 60"), 2.0),
        ('<sound tempo="60"/>', 4.0),
        (tempo("60", "<offset>8</offset>"), 4.0),  # only moves the printed direction
        (tempo("60", '<offset sound="yes">8</offset>'), 3.0),
    ],
)
def test_seconds_follow_the_tempo_marks(marks: str, seconds: float) -> None:
    assert read(one_part(marks, note("C4", 16))).seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        (note("C4", -4), "part P1, bar 1: a duration is '-4'"),
        (note("C4", None), "a duration is missing"),
        (note("C4", "1e3"), "a duration is '1e3'"),
        (note("C4", 0), "has duration 0"),
        (backup(-4) + note("C4", 4), "a duration is '-4'"),
        (forward(-4) + note("C4", 4), "a duration is '-4'"),
        (note("H4", 4), "a step from A to G"),
        (note("C99", 4), "an octave from 0 to 9"),
        (note("C4", 4, alter="nan"), "alteration in semitones"),
        ("<note><duration>4</duration></note>", "neither a pitch nor a rest"),
        ("<attributes><divisions>0</divisions></attributes>", "must be a positive number"),
        (transpose(0, "<octave-change>0.5</octave-change>"), "must be a whole number of octaves"),
        (rest(4), "holds no notes"),
    ],
)
def test_an_invalid_value_is_refused(elements: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(one_part(elements))


def test_durations_before_the_first_divisions_are_refused() -> None:
    with pytest.raises(SourceError, match="before the first <divisions>"):
        read(one_part(note("C4", 4)).replace(DIVISIONS.encode(), b""))


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        (note("C4", 4) + backup(5) + note("C4", 4), "part P1, bar 1: a backup leads to before the start of the bar"),
        (note("C4", 4, chord=True), "a chord has no first note"),
    ],
)
def test_notes_that_contradict_each_other_are_refused(elements: str, message: str) -> None:
    with pytest.raises(InconsistentScoreError, match=message):
        read(one_part(elements))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no score", "it is not a valid MusicXML file: syntax error"),
        (one_part(note("C4", 4))[:-40], "it is not a valid MusicXML file"),
        (b"<html></html>", "its root element is <html>"),
        (b'<opus xmlns:xlink="http://www.w3.org/1999/xlink"><score/></opus>', "it holds several pieces"),
        (b'<?xml version="1.0" encoding="klingon"?><score-partwise/>', "it is not a valid MusicXML file"),
        (b'<!DOCTYPE a [<!ENTITY b "cc">]><score-partwise>&b;</score-partwise>', "it declares XML entities"),
        ('<!DOCTYPE a [<!ENTITY b "cc">]><score-partwise/>'.encode("utf-16"), "it declares XML entities"),
        (b"<score-partwise><part id='P1'/><part id='P1'/></score-partwise>", "part P1 occurs twice"),
    ],
)
def test_anything_but_a_single_score_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message) as error:
        read(data)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_the_declared_encoding_is_used(encoding: str) -> None:
    text = one_part(note("C4", 4, "<!-- schön -->")).decode().replace("UTF-8", encoding)
    assert rows(text.encode(encoding)) == [(0, 1, 60)]


def archive_of(members: dict[str, bytes]) -> bytes:
    """A zip archive."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def container(*names: str) -> bytes:
    """A container.xml with these rootfiles."""
    files = "".join(f'<rootfile full-path="{name}"/>' for name in names)
    return f"<container><rootfiles>{files}</rootfiles></container>".encode()


@pytest.mark.parametrize("name", ["score.xml", "score", "deep/score.pdf"])
def test_the_first_rootfile_is_the_score(name: str) -> None:
    members = {"a.xml": b"other", "__MACOSX/._score.xml": b"none", name: b"this"}
    members["META-INF/container.xml"] = container(name, "a.xml")
    assert unpack(archive_of(members), MANY_BYTES) == b"this"


def test_without_a_container_the_only_score_is_used() -> None:
    assert unpack(archive_of({"__MACOSX/._a.xml": b"none", "a.musicxml": b"this"}), MANY_BYTES) == b"this"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a.xml": b"", "b.xml": b""}, "2 possible scores"),
        ({}, "0 possible scores"),
        ({"META-INF/container.xml": container("gone.xml")}, "names 'gone.xml' as the score"),
        ({"META-INF/container.xml": b"<container/>"}, "names no score"),
        ({"a.xml": bytes(MANY_BYTES + 1)}, "a score may have at most 1048576"),
    ],
)
def test_an_archive_without_a_readable_score_is_refused(members: dict[str, bytes], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        unpack(archive_of(members), MANY_BYTES)


def test_a_damaged_archive_is_refused() -> None:
    whole = archive_of({"a.xml": b"this is text" * 100})
    for damaged in (whole[:-30], whole[:40] + bytes(20) + whole[60:]):
        with pytest.raises(SourceError, match=r"not a valid \.mxl archive"):
            unpack(damaged, MANY_BYTES)
