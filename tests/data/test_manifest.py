"""manifest.json: every damage is one clear line, and format 1 is read."""

import pytest
from small_shards import edit_manifest, to_format_1

from pianogen.data.shard_set import open_shards
from pianogen.errors import ShardError


@pytest.mark.parametrize(
    "name", ["../x.tar", "/etc/passwd", "http://x/train-000000.tar", "pipe:touch x", "train-0.tar"]
)
def test_a_shard_name_that_leads_elsewhere_is_refused(folder, name):
    edit_manifest(folder, lambda manifest: manifest["shards"][0].update({"name": name}))
    with pytest.raises(ShardError, match=r"manifest\.json in .* is damaged"):
        open_shards(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.pop("tokenizer"), "is damaged"),
        (lambda manifest: manifest.pop("fingerprint"), "is damaged"),
        (lambda manifest: manifest.update(fingerprint=7), "is damaged \\(fingerprint 7\\)"),
        (lambda manifest: manifest.update(format=99), "has format 99, this pianogen reads 1 to 2"),
        (lambda manifest: manifest["tokenizer"]["words"].pop(), "its vocabulary is not this pianogen's"),
        (lambda manifest: manifest["tokenizer"]["settings"].update(steps_per_quarter=99), "is damaged"),
        (lambda manifest: manifest["tokenizer"]["settings"].update(steps_per_quarter=8), "fingerprint"),
        (lambda manifest: manifest["performances"].pop(), "is damaged .it lists . performances of test"),
        (lambda manifest: manifest["performances"][0].update(key="../../x"), "is damaged"),
        (lambda manifest: manifest["performances"][0].update(tokens="many"), "is damaged"),
        (lambda manifest: manifest["performances"][0].update(shard="other.tar"), "is damaged"),
        (lambda manifest: manifest.update(performances=None), "is damaged"),
        (lambda manifest: manifest["shards"].append(3), "is damaged"),
        (lambda manifest: manifest["shards"].append(manifest["shards"][0]), "it lists a shard twice"),
        (lambda manifest: manifest["performances"][0].update(tokens_offset=-512), "offsets of 000000000"),
        (lambda manifest: manifest["performances"][0].update(tokens_offset=512.0), "offsets of 000000000"),
        (lambda manifest: manifest["performances"][0].update(tokens_offset=10**30), "offsets of 000000000"),
        (lambda manifest: manifest["performances"][0].update(tokens=10**30), "offsets of 000000000"),
        (lambda manifest: manifest["performances"][1].update(tokens_offset=512), "offsets of 000000001"),
        (lambda manifest: manifest["performances"][0].update(metadata_offset=512), "offsets of 000000000"),
        (lambda manifest: manifest["performances"][0].update(metadata_bytes=1 << 21), "offsets of 000000000"),
        (lambda manifest: manifest["performances"][0].update(metadata_bytes=True), "offsets of 000000000"),
        (lambda manifest: manifest["performances"][0].pop("metadata_bytes"), "is damaged"),
    ],
)
def test_a_wrong_manifest_is_one_clear_line(folder, change, message):
    edit_manifest(folder, change)
    with pytest.raises(ShardError, match=message):
        open_shards(folder)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[]", b"3", b"[" * 100_000])
def test_a_manifest_that_is_not_a_json_object_is_one_clear_line(folder, data):
    (folder / "manifest.json").write_bytes(data)
    with pytest.raises(ShardError, match=r"manifest\.json"):
        open_shards(folder)


def test_tokens_counted_wrongly_in_the_manifest_are_found(folder):
    to_format_1(folder)
    edit_manifest(folder, lambda manifest: manifest["performances"][0].update(tokens=5))
    with pytest.raises(ShardError, match=r"tokens in 000000000\.i16, its manifest says 5"):
        open_shards(folder)


def test_any_change_of_the_manifest_is_found(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"tempo": 0.9', '"tempo": 0.8', 1))
    with pytest.raises(ShardError, match="its content has another sha256 than its second line says"):
        open_shards(folder)


def test_offsets_that_are_not_those_of_the_members_never_give_tokens(folder):
    edit_manifest(folder, lambda manifest: manifest["performances"][0].update(tokens_offset=500))
    with pytest.raises(ShardError, match="against the grammar"):
        open_shards(folder).split("train").tokens(0)


def test_a_manifest_of_format_1_opens_the_same_shards(folder, pristine):
    to_format_1(folder)
    old, new = open_shards(folder), open_shards(pristine)
    assert old.fingerprint == new.fingerprint
    assert old.performances.tolist() == new.performances.tolist()


def test_an_early_manifest_of_format_1_does_not_count_inconsistent_scores(folder, pristine):
    to_format_1(folder)
    edit_manifest(folder, lambda manifest: manifest.pop("inconsistent_scores"))
    assert open_shards(folder).fingerprint == open_shards(pristine).fingerprint


def test_a_long_value_is_shortened_in_the_message(folder):
    for change in ({"fingerprint": [0] * 9999}, {"format": "9" * 9999}, {"shards": [{"name": "9" * 9999}]}):
        edit_manifest(folder, lambda manifest, change=change: manifest.update(change))
        with pytest.raises(ShardError) as error:
            open_shards(folder)
        assert len(str(error.value)) < 600 + len(str(folder))


def test_an_unfinished_folder_says_how_to_finish_it(folder):
    (folder / "manifest.json").unlink()
    with pytest.raises(ShardError, match="is not finished or holds no shards; make it with pianogen shards"):
        open_shards(folder)


def test_a_missing_folder_is_one_clear_line(tmp_path):
    with pytest.raises(ShardError, match="does not exist; make it with pianogen shards"):
        open_shards(tmp_path / "nowhere")
