"""Where a server may listen."""

import socket

import pytest

from pianogen.errors import RunError, SettingError
from pianogen.web import Place
from pianogen.web.sessions import key_in


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_an_address_that_others_reach_needs_a_public_name(host: str) -> None:
    with pytest.raises(SettingError, match="--public"):
        Place(8000, host)
    assert not Place(8000, host, ["study.example.org"]).is_local


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_the_loopback_address_needs_none(host: str) -> None:
    assert Place(8000, host).is_local


def test_the_names_have_the_port_that_was_bound() -> None:
    assert Place(0).names(4321) == {"127.0.0.1:4321", "localhost:4321"}
    assert Place(0, "::1").names(80) == {"[::1]:80", "localhost:80"}
    assert Place(0, "0.0.0.0", ["Study.Example.org"]).names(80) == {"study.example.org"}


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_cannot_exist_is_refused(port: int) -> None:
    with pytest.raises(SettingError, match="'port'"):
        Place(port)


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=rf"cannot listen on 127.0.0.1:{port}: .*--port"):
            Place(port).listen()


def test_a_key_is_made_once_for_its_owner_alone(tmp_path) -> None:
    key = key_in(tmp_path / "key")
    assert key_in(tmp_path / "key") == key
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_damaged_key_is_refused(tmp_path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(RunError, match="is not a key"):
        key_in(tmp_path / "key")
