"""The embedded default: enough works, always in the same order, read as keyboard music."""

from shards import corpus


def test_there_are_at_least_150_works():
    assert len(corpus.collect().sources) >= 150


def test_no_piano_piece_is_missing():
    assert corpus.collect().missing == ()


def test_works_are_sorted_by_name():
    names = [source.name for source in corpus.collect().sources]
    assert names == sorted(names)


def test_scores_become_shards(make, tmp_path):
    works = ["bach/bwv253.mxl", "bach/bwv254.mxl", "bach/bwv255.mxl", "schoenberg/opus19/movement6.mxl"]
    path = tmp_path / "list.csv"
    path.write_text("\n".join(["midi_filename", *works]))
    _, manifest = make("corpus", list=str(path), workers=2)
    assert sorted(one.source for one in manifest.performances) == works
    assert {one.composer for one in manifest.performances} == {"Johann Sebastian Bach", "Arnold Schoenberg"}
