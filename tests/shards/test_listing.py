"""Lists in MAESTRO's format: their content, and one clear line where they are wrong."""

import pytest

from pianogen.errors import SourceError
from shards.listing import parse_list

HEADER = "canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration\n"


def test_a_row_gives_composer_title_and_split():
    line = "Alban Berg,Sonata Op. 1,test,2018,2018/a.midi,2018/a.wav,698.6\n"
    found = parse_list((HEADER + line).encode(), "x", need_split=True)["2018/a.midi"]
    assert (found.composer, found.title, found.split) == ("Alban Berg", "Sonata Op. 1", "test")


@pytest.mark.parametrize("title", ["sonata op 1", "SONATA OP. 1", "Sonàta, Op. 1"])
def test_a_composition_is_the_same_however_it_is_written(title):
    lines = ["midi_filename,canonical_composer,canonical_title", "a,Alban Berg,Sonata Op. 1", f'b,Alban Berg,"{title}"']
    rows = parse_list("\n".join(lines).encode(), "x", need_split=False)
    assert rows["a"].composition == rows["b"].composition


def test_without_composer_and_title_the_composition_is_not_known():
    assert parse_list(b"midi_filename,canonical_title\na,Sonata\n", "x", need_split=False)["a"].composition is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"file\na\n", "list x.csv has no column 'midi_filename'"),
        (b"midi_filename\na\n", "list x.csv has no column 'split'"),
        (b"", "list x.csv has no column 'midi_filename'"),
        (
            b"midi_filename,split\na,training\n",
            "line 2 has split 'training'; it must be one of train, validation, test",
        ),
        (b"midi_filename,split\na,\n", "line 2 has split None"),
        (b"midi_filename,split\n,train\n", "line 2 names no file"),
        (b"midi_filename,split\na,train\na,test\n", "line 3 names 'a' again, with other values"),
        (b"midi_filename,split\n\xff,train\n", "is not a csv in UTF-8"),
        (b'midi_filename,split\n"a,train\n', "is not a csv in UTF-8"),
    ],
)
def test_a_wrong_list_is_one_clear_line(data, message):
    with pytest.raises(SourceError, match=message):
        parse_list(data, "x.csv", need_split=True)
