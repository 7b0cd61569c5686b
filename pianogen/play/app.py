"""The application of `pianogen play`: the page, its files, its sound, and the API."""

import difflib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, PackageLoader
from starlette.exceptions import HTTPException as StarletteHTTPException

from pianogen import __version__
from pianogen.config import PlayConfig
from pianogen.errors import PianogenError, ShardError
from pianogen.play.api import Service, router
from pianogen.play.bodies import PieceBody
from pianogen.play.engine import Engine, QueueFullError
from pianogen.play.models import load_models
from pianogen.play.prompt_store import PromptStore
from pianogen.play.store import PieceStore, TooManyPiecesError
from pianogen.play.uploads import MAX_BYTES
from pianogen.progress import console
from pianogen.render.samples import SOUND_FILE, samples_script
from pianogen.render.sound import check_sound
from pianogen.web import Guard, Limits, Place, Sessions, serve, static_files

_SHARED = ("page.css", "piano.js")  # of pianogen.render
_RETRY_S = "5"
_PageSound = Literal["ogg", "mp3"]  # MP3 for browsers that cannot decode Vorbis
LIMITS = Limits(larger_bodies={"/api/prompts": MAX_BYTES})
_FILES_AT_ONCE = 1  # scores and sounds, each of which takes a core; MIDI files do not wait


def play(config: PlayConfig) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Raises:
        SettingError: The port is taken, or a setting is wrong.
        RunError, StorageError: A model is missing or damaged, or cannot make a piece.
    """
    place = Place(config.port, config.host, config.public)
    with place.listen() as listening:
        port = listening.getsockname()[1]
        application = build_app(config)
        application.state.start()  # not by the server, which would print a traceback
        guarded = Guard(application, Sessions(), place.names(port), LIMITS)
        address = f"http://{config.public[0]}" if config.public else place.url(port)
        console.print(f"pianogen play: {address}/  (Ctrl-C ends it)", soft_wrap=True)
        with suppress(KeyboardInterrupt):  # the way to end it, with nothing to resume
            serve(guarded, listening, application.state.stop)


def build_app(config: PlayConfig) -> FastAPI:
    """The application, without the guard that must stand before it.

    Its `state.start` starts the engine, which must run before it is served; its `state.stop` ends the pieces, and so
    the responses that follow them.

    Raises:
        SettingError, RunError, StorageError: A model is missing or damaged, or two have the same name.
    """
    check_sound(["wav", "ogg"], config.soundfont)
    models = load_models(config)
    engine = Engine(models.values(), config.batch, config.queue)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=_sound, args=[config.soundfont, "ogg"], daemon=True).start()
        yield
        engine.stop()

    # the documentation pages of FastAPI load scripts from elsewhere, which the guard's policy forbids
    app = FastAPI(
        title="pianogen play", version=__version__, openapi_url="/api/openapi.json", docs_url=None, redoc_url=None,
        lifespan=running,
    )  # fmt: skip
    pieces = PieceStore(models, engine, config.max_tokens)
    app.state.start, app.state.stop = engine.start, engine.stop
    app.state.service = Service(models, pieces, PromptStore(), config.soundfont, anyio.Semaphore(_FILES_AT_ONCE))
    app.include_router(router)
    _add_pages(app)
    _add_sound(app, config.soundfont)
    _add_errors(app)
    return app


def _add_pages(app: FastAPI) -> None:
    environment = Environment(loader=PackageLoader("pianogen.play", "pages"), autoescape=True)
    pages, render = Path(str(files("pianogen.play") / "pages")), Path(str(files("pianogen.render")))
    app.include_router(static_files(pages, *(render / name for name in _SHARED)))

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> HTMLResponse:
        text = environment.get_template("index.html").render(csrf_token=request.scope.get("csrf_token", ""))
        return HTMLResponse(text, headers={"cache-control": "no-store"})


def _add_sound(app: FastAPI, soundfont: str | None) -> None:
    @app.get(f"/api/{SOUND_FILE}", include_in_schema=False)
    def script(form: Annotated[_PageSound, Query(alias="format")] = "ogg") -> Response:  # not async: it may wait
        headers = {"cache-control": "private, max-age=3600"}
        return Response(_sound(soundfont, form), media_type="text/javascript", headers=headers)


def _sound(soundfont: str | None, form: _PageSound) -> str:
    """The sampled piano of the page; the first call takes some seconds, so that it comes when the server starts."""
    with _making_sound:
        return _script(soundfont, form)


_making_sound, _script = threading.Lock(), cache(samples_script)


def _add_errors(app: FastAPI) -> None:
    """Every refusal of the API is {"error": "one line"}."""

    @app.exception_handler(PianogenError)
    async def refused(_: Request, error: PianogenError) -> JSONResponse:
        if isinstance(error, QueueFullError | TooManyPiecesError):
            status = 503 if isinstance(error, QueueFullError) else 429
            return _error(status, str(error), {"retry-after": _RETRY_S})
        return _error(422, str(error))

    @app.exception_handler(OSError)
    @app.exception_handler(ShardError)  # no worker process starts, or it cannot write
    async def cannot(_: Request, error: Exception) -> JSONResponse:
        console.print(f"pianogen play: {error}", soft_wrap=True, markup=False)
        return _error(503, "the server cannot read files now (its disk may be full); try again later")

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return _error(422, _explained(error.errors()[0]))

    @app.exception_handler(StarletteHTTPException)
    async def other(_: Request, error: StarletteHTTPException) -> JSONResponse:
        return _error(error.status_code, error.detail, error.headers)


def _error(status: int, text: str, headers: Any = None) -> JSONResponse:
    return JSONResponse({"error": " ".join(text.split())}, status, headers)


def _explained(error: dict[str, Any]) -> str:
    """The first error of a body in one line, which names the setting."""
    where = ".".join(str(part) for part in error["loc"] if part not in ("body", "query", "path"))
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(error["loc"][-1]), PieceBody.model_fields, n=1, cutoff=0.5)
        return f"unknown setting {where!r}" + (f"; did you mean {close[0]!r}?" if close else "")
    if error["type"] == "json_invalid":
        return "the body is not JSON"
    return f"{where or 'the body'}: {error['msg']}"
