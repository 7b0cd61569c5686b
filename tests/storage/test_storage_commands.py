"""On the command line, what is wrong with a URL or its server is one line and exit status 2, and no more is said."""

import subprocess
import sys

import pytest
from moto import settings

from pianogen.cli import main


def error_of(command: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """Run a command that must fail, and return the one line that it says."""
    assert main(command) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("pianogen: ")
    assert said.err.count("\n") == 1, said.err
    return said.err


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["train", "--out", "s3://b/x"], "'out' is 's3://b/x', but it must be a local path; train to disk, then"),
        (["train", "--out", "https://u:pw@h/x"], "a https:// URL contains credentials"),
        (["sweep", "s.yaml", "--out", "s3://b/x"], "sweep on a disk that all workers share"),
        (["shards", "corpus", "--out", "s3://b/x"], "make them on disk, then copy the folder there"),
        (["shards", "https://h/music", "--out", "x"], "setting 'source' is"),
        (["generate", "run", "--out", "x", "--prompt", "s3://b/p.mid"], "setting 'prompt' is"),
        (["generate", "run", "--out", "https://h/x"], "cannot write to https://h/x"),
        (["tokens", "s3://b/x.mid"], "setting 'file' is"),
        (["track", "sync", "s3://b/runs/a"], "setting 'runs' is"),
        (["track", "sync", "run", "--to", "elsewhere"], "'elsewhere' is not supported; a URL must start with"),
        (["evaluate", "http://example.com/run"], "would be fetched unencrypted"),
        (["submit", "--dry_run", "train", "--shards", "s3://b/s", "--out", "s3://b/x"], "must be a local path"),
    ],
)
def test_a_url_where_none_can_be_is_refused_at_once(command, expected, capfd):
    assert expected in error_of(command, capfd)


def test_a_wrong_bucket_is_named(bucket, capfd):
    assert "s3://no-such-bucket/run/" in error_of(["generate", "s3://no-such-bucket/run", "--out", "x"], capfd)


def test_a_missing_bucket_cannot_be_written(bucket, make_run, capfd):
    command = ["track", "sync", str(make_run()), "--to", "s3://no-such-bucket/runs"]
    assert "s3://no-such-bucket/runs/attn" in error_of(command, capfd)


def test_wrong_credentials_are_one_line_without_them(bucket, reopened, monkeypatch, capfd, make_run):
    monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    said = error_of(["track", "sync", str(make_run()), "--to", bucket.url("runs")], capfd)
    assert "denied" in said
    assert "AWS_ACCESS_KEY_ID" in said
    assert "wrong-secret" not in said


def test_no_credentials_are_one_line(bucket, reopened, monkeypatch, capfd):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    command = ["train", "--shards", bucket.url("shards"), "--out", "x", "--budget.steps", "1"]
    assert "credentials come from the environment" in error_of(command, capfd)


@pytest.mark.parametrize("url", ["s3://bucket/run", "http://127.0.0.1:9/run"])
def test_a_server_that_cannot_be_reached_is_one_line(bucket, reopened, monkeypatch, capfd, url):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    said = error_of(["generate", url, "--out", "x"], capfd)
    assert "cannot reach" in said
    assert "check the network" in said


@pytest.mark.parametrize(("scheme", "module"), [("s3", "s3fs"), ("gs", "gcsfs"), ("https", "aiohttp")])
def test_a_missing_package_is_named_with_the_command_that_installs_it(scheme, module):
    script = f"""
import sys
sys.modules[{module!r}] = None
from pianogen.errors import StorageError
from pianogen.storage import Address, Remote
try:
    Remote(Address.parse("{scheme}://bucket/run"))
except StorageError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(f"{scheme}:// needs a package that is not installed")
    assert ran.stdout.endswith("pip install 'pianogen[cloud]'\n")


def test_a_cache_that_cannot_be_written_is_one_line(bucket, make_run, tmp_path, monkeypatch, capfd):
    run = bucket.upload(make_run(), "run")
    (tmp_path / "file").touch()
    monkeypatch.setenv("PIANOGEN_CACHE", str(tmp_path / "file"))
    assert "set PIANOGEN_CACHE to another folder" in error_of(["generate", run, "--out", "x"], capfd)


def test_a_copy_that_cannot_be_written_is_not_reported_as_a_fault_of_the_server(bucket, make_run, cache, capfd):
    run = bucket.upload(make_run(), "run")
    folder = cache / "s3" / run.removeprefix("s3://") / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "best.json").mkdir()  # where a file belongs
    assert f"cannot copy {run} to {cache}" in error_of(["generate", run, "--out", "x"], capfd)


def test_help_loads_no_storage() -> None:
    script = (
        "import sys\nfrom pianogen.cli import main\n"
        "try:\n    main(['generate', '--help'])\nexcept SystemExit:\n    pass\n"
        "print('loaded:', [name for name in ('fsspec', 's3fs', 'aiohttp') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.endswith("loaded: []\n")
