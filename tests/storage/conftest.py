"""A real S3-compatible server (moto) and a plain web server, both of this machine, and what they were asked for."""

import itertools
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseServer
from typing import Any
from urllib.parse import unquote

import pytest
import torch
from boto3.session import Session
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from pianogen.config import ModelConfig, TokenizerConfig, TrainConfig, to_dict
from pianogen.data import open_shards
from pianogen.files import write_json
from pianogen.models import build_model
from pianogen.runs import create_run
from pianogen.runs.checkpoint import write_checkpoint
from pianogen.storage import remote, transport

_numbers = itertools.count()


@contextmanager
def serving(server: BaseServer) -> Iterator[None]:
    """Run a server in a thread."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Bucket:
    """A bucket of its own for a test."""

    client: Any
    name: str
    log: list[tuple[str, str]]
    """Every request to the server, as (GET, /bucket/name)."""

    def url(self, *names: str) -> str:
        """A URL in the bucket."""
        return "/".join(["s3:/", self.name, *names])

    def upload(self, folder: Path, path: str) -> str:
        """Copy a folder there as any tool would, and return its URL."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.put(f"{path}/{file.relative_to(folder).as_posix()}", file.read_bytes())
        return self.url(path)

    def put(self, name: str, data: bytes) -> None:
        """Write an object."""
        self.client.put_object(Bucket=self.name, Key=name, Body=data)

    def get(self, name: str) -> bytes:
        """Read an object."""
        return self.client.get_object(Bucket=self.name, Key=name)["Body"].read()

    def delete(self, name: str) -> None:
        """Remove an object."""
        self.client.delete_object(Bucket=self.name, Key=name)

    def contents(self, path: str) -> dict[str, bytes]:
        """Every object below a path, by its relative name."""
        found = self.client.list_objects_v2(Bucket=self.name, Prefix=f"{path}/").get("Contents", [])
        return {one["Key"].removeprefix(f"{path}/"): self.get(one["Key"]) for one in found}

    @contextmanager
    def asked(self, method: str) -> Iterator[list[str]]:
        """Collect the names that are asked for meanwhile with a method."""
        names: list[str] = []
        before = len(self.log)
        yield names
        prefix = f"/{self.name}/"
        paths = [path for way, path in self.log[before:] if way == method and path.startswith(prefix)]
        names += [path.removeprefix(prefix) for path in paths if path != prefix]


@dataclass
class Server:
    """Where it is, a client of its owner's, and every request."""

    address: str
    client: Any
    log: list[tuple[str, str]]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """An S3-compatible server."""
    application, log = DomainDispatcherApplication(create_backend_app), []

    class Quiet(WSGIRequestHandler):
        def log(self, type: str, message: str, *about: object) -> None:
            pass

    def recording(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        log.append((environ["REQUEST_METHOD"], unquote(environ["PATH_INFO"])))
        return application(environ, start_response)

    server = make_server("127.0.0.1", 0, recording, threaded=True, request_handler=Quiet)
    address = f"http://127.0.0.1:{server.server_port}"
    owner = {"aws_access_key_id": "owner", "aws_secret_access_key": "owner", "region_name": "us-east-1"}
    with serving(server):
        yield Server(address, Session(**owner).client("s3", endpoint_url=address), log)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no waiting between attempts."""
    monkeypatch.setenv("PIANOGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "PAUSE_S", 0.0)
    return tmp_path / "cache"


@pytest.fixture
def reopened() -> Iterator[None]:
    """New connections, with the timeouts and credentials of now."""
    transport.open_transport.cache_clear()
    yield
    transport.open_transport.cache_clear()


@pytest.fixture
def bucket(s3_server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A new bucket, with all that a user needs to reach it in the environment."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server.address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{next(_numbers)}"
    s3_server.client.create_bucket(Bucket=name)
    return Bucket(s3_server.client, name, s3_server.log)


@dataclass
class Web:
    """A plain web server of a folder, and how it is to misbehave, by the end of a file's name."""

    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)
    answers: dict[str, list[int]] = field(default_factory=dict)
    """Statuses to answer with at first."""
    breaks: dict[str, int] = field(default_factory=dict)
    """How often to close the connection in the middle."""
    stalls: dict[str, threading.Event] = field(default_factory=dict)
    """Send one half, and the other when the event is set."""

    def of(self, plans: dict[str, Any], path: str) -> Any:
        """The plan for a path, if there is one."""
        return next((plan for ending, plan in plans.items() if path.endswith(ending)), None)


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, web: Web, *arguments: Any) -> None:
        self.web = web
        super().__init__(*arguments, directory=str(web.folder))

    def do_GET(self) -> None:
        self.web.asked.append(self.path)
        if answers := self.web.of(self.web.answers, self.path):
            self.send_error(answers.pop(0))
        elif self.web.of(self.web.breaks, self.path) or self.web.of(self.web.stalls, self.path):
            self._halt()
        else:
            super().do_GET()

    def _halt(self) -> None:
        data = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.wfile.flush()
        for ending in self.web.breaks:
            if self.path.endswith(ending):
                self.web.breaks[ending] -= 1
                return
        self.web.of(self.web.stalls, self.path).wait()
        with suppress(OSError):  # the client may have gone
            self.wfile.write(data[len(data) // 2 :])

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path, cache: Path) -> Iterator[Web]:
    """A web server of an empty folder."""
    (tmp_path / "www").mkdir()
    web = Web(tmp_path / "www")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, web))
    web.url = f"http://127.0.0.1:{server.server_port}"
    with serving(server):
        yield web
        for event in web.stalls.values():
            event.set()


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, tiny_shards: Path) -> Path:
    """A finished run with checkpoints of steps 2, 4 and 6, of which 4 is the best."""
    folder = tmp_path_factory.mktemp("made") / "run"
    config = TrainConfig(shards=str(tiny_shards), out=str(folder), model=ModelConfig(hidden_size=8))
    shards = {
        "folder": str(tiny_shards),
        "fingerprint": open_shards(tiny_shards).fingerprint,
        "tokenizer": asdict(TokenizerConfig()),
    }
    run = create_run(config, {"shards": shards})
    for step in (2, 4, 6):
        torch.manual_seed(step)
        weights = build_model(config.model).state_dict()
        moments = {"exp_avg": torch.full((3,), float(step))}
        training = {"step": step, "model": to_dict(config.model)}
        write_checkpoint(run.checkpoints, step, {"model": weights, "optimizer": moments}, training)
    write_json(run.checkpoints / "best.json", {"step": 4, "nll": 1.0})
    write_json(run.path / "status.json", {"state": "finished"})
    run.metrics_file.write_text(json.dumps({"step": 2, "time": 0.0, "train/loss": 4.0}) + "\n")
    (run.path / ".lock").write_text("123 on node1")
    (run.path / "mlflow.json").write_text("{}")
    return run.path


@pytest.fixture
def make_run(tmp_path: Path, finished_run: Path) -> Callable[..., Path]:
    """Put that run anywhere; in another folder it is another run."""

    def make(name: str = "attn", folder: str = "runs") -> Path:
        run = shutil.copytree(finished_run, tmp_path / folder / name)
        environment = json.loads((run / "environment.json").read_bytes())
        (run / "environment.json").write_text(json.dumps({"host": f"maker of {folder}", **environment}))
        return run

    return make
