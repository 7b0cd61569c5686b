"""The application that raters' browsers talk to; simulated raters use the same addresses.

A rater is a session cookie, which the first answer of the server sets (pianogen.web). A request that changes something
repeats `csrf_token`, which each answer below contains, in the header X-CSRF-Token. Bodies and answers are JSON.

GET  /api/next                                                where this rater is, as below
POST /api/consent       {"code": "..."}                       code: only if the study has codes of invitation
POST /api/sound-check   {"notes": 3}                          a wrong number leads to another clip
POST /api/instructions  {}                                    they have been read
POST /api/answers       {"position": 0, "value": 4,           value: a rating from 0 to 5, or a number of notes;
                         "heard_s": 25.1, "comment": ""}      heard_s: seconds heard, replays included; no more than
                                                              have passed since the clip was first sent
GET  /clips/NAME        the clip of this page or an earlier one, also in ranges
GET  /results, /api/results                                   counts, for the owner of the study

Each answers with what is shown next, {"csrf_token": ..., "stage": ...} and, by stage:

consent       needs_code, of (pages of a session), minutes
sound-check   clip, seconds, must_finish, wrong_answers
instructions  examples: a list of {clip, seconds, must_finish}
clip          clip, seconds, must_finish, position (from 0), of, asks ("rating" or "notes")
finished

or with {"error": "one line"}: 403 no valid code, or no cookie; 409 not this stage or page, or answered otherwise (see
/api/next); 422 not a valid body, or a clip that was not heard to its end; 503 not stored. The same answer again is no
error, and changes nothing. An answer is on disk before the next page is shown.
"""

import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response

from pianogen.study.codes import plain
from pianogen.study.design import HIGHEST, LOWEST
from pianogen.study.folder import StudyFolder
from pianogen.study.owner import Owner
from pianogen.study.sent_clips import SentClips
from pianogen.study.site import Site
from pianogen.study.store import MAX_COMMENT, CodeError, OrderError, RaterProgress, Store
from pianogen.study.view import Views

_MAX_NOTES = 99
_HEARD = 0.95  # of a clip's length; browsers round it, and skip the silence that encoders add
_NOT_KEPT = {"cache-control": "private, no-store"}

Count = Annotated[int, Field(strict=True, ge=0, le=_MAX_NOTES)]


class Consent(BaseModel):
    """A rater agrees to take part."""

    code: Annotated[str, Field(max_length=100)] | None = None


class SoundCheck(BaseModel):
    """A rater says how many notes they heard."""

    notes: Count


class Answered(BaseModel):
    """A rater answers a page."""

    position: Annotated[int, Field(strict=True, ge=0, le=10_000)]
    value: Count
    heard_s: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
    comment: Annotated[str, Field(max_length=MAX_COMMENT)] = ""


def application(
    folder: StudyFolder, store: Store, owner: Owner, clock: Callable[[], float] = time.monotonic
) -> FastAPI:
    """The application of a study, which belongs behind pianogen.web.Guard; it closes the store when it shuts down."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        store.close()  # here, since the server ends the process by the signal that it was sent

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.include_router(_Raters(folder, store, clock).router())
    app.include_router(Site(folder, store, owner).router())
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(sqlite3.Error, _not_stored)
    app.add_exception_handler(CodeError, lambda _, error: _error(403, str(error)))
    app.add_exception_handler(OrderError, lambda _, error: _error(409, str(error)))
    return app


class _Raters:
    """What raters ask for; `request.scope["session"]` is the name of their session."""

    def __init__(self, folder: StudyFolder, store: Store, clock: Callable[[], float]) -> None:
        self._folder, self._store, self._sent = folder, store, SentClips(clock)
        design = folder.design()
        self._views, self._must_finish = Views(design, folder.sessions()), design.must_finish_clip
        self._is_simulated = design.simulated  # a program need not wait

    def router(self) -> APIRouter:
        router = APIRouter()
        router.add_api_route("/api/next", self.next)
        router.add_api_route("/api/consent", self.consent, methods=["POST"])
        router.add_api_route("/api/sound-check", self.sound_check, methods=["POST"])
        router.add_api_route("/api/instructions", self.instructions, methods=["POST"])
        router.add_api_route("/api/answers", self.answer, methods=["POST"])
        router.add_api_route("/clips/{name}", self.clip, methods=["GET", "HEAD"])
        return router

    def next(self, request: Request) -> Response:
        progress = self._store.rater(request.scope["session"])
        shown = self._views.next(progress)
        if progress is None:
            shown["needs_code"] = self._store.num_codes() > 0
        return JSONResponse({"csrf_token": request.scope["csrf_token"], **shown}, headers=_NOT_KEPT)

    def consent(self, request: Request, body: Consent) -> Response:
        if request.headers.get("x-csrf-token") != request.scope["csrf_token"]:  # the session began with this request
            raise HTTPException(
                403, "this browser does not keep cookies, which keep your place: permit them, and reload"
            )
        self._store.begin(request.scope["session"], plain(body.code or ""))
        return self.next(request)

    def sound_check(self, request: Request, body: SoundCheck) -> Response:
        progress = self._rater(request)
        if not progress.heard_right:
            right = body.notes == self._views.sound_check(progress).expected
            self._store.sound_check(progress.number, right=right)
        return self.next(request)

    def instructions(self, request: Request) -> Response:
        progress = self._rater(request)
        if not progress.heard_right:
            raise OrderError("the sound check comes first")
        self._store.instruct(progress.number)
        self._sent.opened(progress.number, progress.position)
        return self.next(request)

    def answer(self, request: Request, body: Answered) -> Response:
        progress = self._rater(request)
        if not progress.instructed:
            raise OrderError("the instructions come first")
        heard_s = self._heard_s(progress, body)
        self._check(progress, body, heard_s)
        self._store.answer(progress.number, body.position, value=body.value, heard_s=heard_s, comment=body.comment)
        self._sent.opened(progress.number, body.position + 1)
        return self.next(request)

    def _heard_s(self, progress: RaterProgress, body: Answered) -> float:
        """What the browser says, bounded by the time since the clip was sent."""
        if self._is_simulated:
            return body.heard_s
        return min(body.heard_s, self._sent.at_most_s(progress.number, body.position))

    def _check(self, progress: RaterProgress, body: Answered, heard_s: float) -> None:
        pages = self._views.pages(progress)
        if body.position >= len(pages):
            raise OrderError(f"this session has {len(pages)} pages")
        page = pages[body.position]
        if page.role != "check" and body.value > HIGHEST:
            raise HTTPException(422, f"a rating must be from {LOWEST} to {HIGHEST}")
        if self._must_finish and heard_s < _HEARD * self._views.length_s(page.clip):
            raise HTTPException(422, "the clip must be heard to its end before it is rated")

    def clip(self, request: Request, name: str) -> Response:
        progress = self._store.rater(request.scope["session"])
        if name not in self._views.clips(progress):
            raise HTTPException(404, "there is no such clip on this page")
        is_page = progress is not None and progress.instructed and name == self._views.next(progress).get("clip")
        if progress and is_page and request.method == "GET":
            self._sent.sent(progress.number, progress.position)
        return FileResponse(self._folder.clip(name), media_type="audio/mpeg", headers=_NOT_KEPT)

    def _rater(self, request: Request) -> RaterProgress:
        progress = self._store.rater(request.scope["session"])
        if progress is None:
            raise OrderError("consent comes first")
        return progress


def _error(status: int, reason: str, headers: Any = None) -> JSONResponse:
    return JSONResponse({"error": reason}, status, _NOT_KEPT | dict(headers or {}))


def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, error.detail, error.headers)


def _invalid(_: Request, error: Exception) -> JSONResponse:
    """Name the field and the rule; the value stays out, since it may be anything."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return _error(422, f"{where or 'body'}: {first['msg']}".encode("ascii", "replace").decode())


def _not_stored(_: Request, error: Exception) -> JSONResponse:
    return _error(503, f"the answer could not be stored ({error}); try again")
