"""The HTTP API of `pianogen play`, under /api; docs/play.md describes it."""

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response, StreamingResponse

from pianogen.errors import SettingError
from pianogen.generation import Prompt
from pianogen.play.bodies import KnownPromptBody, NotesBody, PieceBody
from pianogen.play.events import PERIOD_S, events_of
from pianogen.play.files import Suffix, file_of, is_slow
from pianogen.play.models import PlayModel
from pianogen.play.piece import ENDED, Piece
from pianogen.play.prompt_store import PromptStore
from pianogen.play.prompts import prompt_of_notes
from pianogen.play.store import PieceStore

router = APIRouter(prefix="/api")
_LEFT = 499  # as nginx writes it down; nobody reads it


@dataclass(frozen=True)
class Service:
    """What the routes work with."""

    models: Mapping[str, PlayModel]
    pieces: PieceStore
    prompts: PromptStore
    soundfont: str | None
    files: anyio.Semaphore
    """How many slow files are made at a time."""

    def model(self, name: str | None) -> PlayModel:
        """A model by its name, by default the first one."""
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise SettingError(f"'model' is {name!r}, but must be one of {', '.join(self.models)}")
        return self.models[name]


def _service(request: Request) -> Service:
    return request.app.state.service


def _visitor(request: Request) -> str:
    return request.scope["session"]  # by the guard; of a program that keeps no cookies, another one each time


Serving = Annotated[Service, Depends(_service)]
Visitor = Annotated[str, Depends(_visitor)]
ModelName = Annotated[str | None, Query(alias="model", description="Whose grid the notes are on.")]


@router.get("/models")
async def models(service: Serving) -> list[dict[str, Any]]:
    """The models, the first one is the default."""
    return [model.describe() for model in service.models.values()]


@router.get("/prompts")
async def prompts(service: Serving) -> list[dict[str, str]]:
    """Ten scores to continue."""
    return service.prompts.listed()


@router.get("/prompts/{prompt_id}")
async def prompt(prompt_id: str, service: Serving, model: ModelName = None) -> dict[str, Any]:
    """The notes of a prompt."""
    return (await service.prompts.find(prompt_id, service.model(model).tokenizer)).describe()


@router.post("/prompts", status_code=201)
async def upload(
    request: Request, service: Serving, model: ModelName = None, name: str | None = None
) -> dict[str, Any]:
    """Send a MIDI file or score; the body is its bytes, and `name` or the header X-Filename ends in its suffix."""
    name = request.headers.get("x-filename", "") if name is None else name
    data = await request.body()
    return (await service.prompts.add(name, data, service.model(model).tokenizer)).describe()


@router.post("/pieces", status_code=201)
async def create(body: PieceBody, service: Serving, visitor: Visitor) -> dict[str, Any]:
    """Begin a piece."""
    model = service.model(body.model)
    start = await _prompt(body.prompt, model, service)
    return service.pieces.create(model, body.seed, body.settings(start), start, visitor).describe()


@router.get("/pieces/{piece_id}.{suffix}")
async def file(piece_id: str, suffix: Suffix, request: Request, service: Serving, visitor: Visitor) -> Response:
    """A file of a piece; it is answered when the piece is done."""
    piece = service.pieces.find(piece_id, visitor)
    await _done(piece, request)
    async with service.files if is_slow(suffix) else nullcontext():
        if await request.is_disconnected():  # while others' files were made
            return Response(status_code=_LEFT)
        content, media_type = await anyio.to_thread.run_sync(file_of, piece, suffix, service.soundfont)
    name = f"piece-{piece.spec.seed}.{suffix}"
    return Response(content, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'})


@router.get("/pieces/{piece_id}/events")
async def events(piece_id: str, request: Request, service: Serving, visitor: Visitor) -> StreamingResponse:
    """The piece while it is made, as server-sent events."""
    piece = service.pieces.find(piece_id, visitor)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events_of(piece, request.is_disconnected), 200, headers, "text/event-stream")


@router.get("/pieces/{piece_id}")
async def piece(piece_id: str, service: Serving, visitor: Visitor) -> dict[str, Any]:
    """The piece so far; one that the server does not know any more is made again."""
    return (service.pieces.kept(piece_id) or service.pieces.find(piece_id, visitor)).describe()


@router.delete("/pieces/{piece_id}", status_code=204)
async def stop(piece_id: str, service: Serving) -> None:
    """Stop a piece, unless somebody else reads it."""
    found = service.pieces.kept(piece_id)
    if found is None:
        raise HTTPException(404, "the server has no such piece")
    found.stop()


async def _prompt(body: KnownPromptBody | NotesBody | None, model: PlayModel, service: Service) -> Prompt:
    spq = model.tokenizer.steps_per_quarter
    if body is None:
        return Prompt(steps_per_quarter=spq)
    if isinstance(body, KnownPromptBody):
        return (await service.prompts.find(body.id, model.tokenizer)).until(body.end_step)
    return prompt_of_notes(body.notes, spq, body.quarters_per_minute, body.time_signature, body.end_step)


async def _done(piece: Piece, request: Request) -> None:
    """Wait until a piece is done."""
    with piece.read():
        while piece.state not in ENDED and not await request.is_disconnected():
            await asyncio.sleep(PERIOD_S)
    if piece.state != "done":
        raise HTTPException(409, piece.error or "the piece was stopped; ask for it again")
