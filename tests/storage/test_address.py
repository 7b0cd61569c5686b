"""A URL is a plain path: it refers to nothing else, local or remote, and contains no secret."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.errors import SettingError
from pianogen.storage import Address, is_url, keep_copy

NAMES = st.text(st.characters(exclude_characters="/"), max_size=12) | st.sampled_from([".", "..", "", "~", "a b", "ü"])
URLS = st.builds(
    lambda scheme, names: f"{scheme}://{'/'.join(names)}",
    st.sampled_from(["s3", "gs", "https", "http", "file", "S3"]),
    st.lists(NAMES, min_size=1, max_size=4),
)


@given(URLS)
def test_each_accepted_url_has_its_own_folder_in_the_cache(url):
    try:
        address = Address.parse(url)
    except SettingError:
        return
    path = Path("/cache").joinpath(address.scheme, *address.parts)
    assert path.parts == ("/", "cache", address.scheme, *address.parts)
    assert ".." not in path.parts
    assert Address.parse(str(address)) == address


@given(URLS.map(lambda url: f"{url}/.."))
def test_a_refusal_is_one_line_however_the_url_is_made(url):
    with pytest.raises(SettingError) as caught:
        Address.parse(url)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("text", ["runs/attn", "/runs/attn", "s3:/bucket/x", "C:\\runs", "", "s3", "./a://b"])
def test_a_path_is_no_url(text):
    assert not is_url(text)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("file:///etc/passwd", "a URL must start with s3://, gs:// or https://"),
        ("ftp://host/x", "a URL must start with"),
        ("simplecache::s3://bucket/x", "a URL must start with"),
        ("http://example.com/x", "would be fetched unencrypted"),
        ("http://127.0.0.1.example.com/x", "would be fetched unencrypted"),
        ("s3://bucket/../other", "not a plain URL"),
        ("s3:///x", "not a plain URL"),
        ("s3://bucket//x", "not a plain URL"),
        ("s3://bucket/x?versionId=1", "not a plain URL"),
        ("https://host/x#part", "not a plain URL"),
        ("s3://bucket/*", "not a plain URL"),
        ("s3://bucket/" + "x" * 300, "not a plain URL"),
    ],
)
def test_a_url_that_means_more_than_a_path_is_refused(url, complaint):
    assert is_url(url) or "::" in url
    with pytest.raises(SettingError, match=complaint):
        Address.parse(url)


@pytest.mark.parametrize("url", ["https://user:secret@host/x", "s3://key:secret@bucket/x", "http://secret@127.0.0.1/x"])
def test_credentials_in_a_url_are_refused_and_not_repeated(url):
    with pytest.raises(SettingError, match="give them in the environment") as caught:
        Address.parse(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://bucket/a", "gs://bucket/a", "https://host/a", "http://127.0.0.1:80/a"])
def test_only_buckets_are_written_to(url):
    address = Address.parse(url)
    if url.startswith("http"):
        with pytest.raises(SettingError, match="cannot write to"):
            address.require_writable()
    else:
        address.require_writable()


def test_the_path_of_a_copy_follows_from_the_url(cache):
    with keep_copy(Address.parse("s3://bucket/runs/attn/")) as folder:
        assert folder == cache / "s3" / "bucket" / "runs" / "attn"
