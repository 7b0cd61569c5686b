"""The pages of a study and their files."""

import math
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from pianogen.study.folder import StudyFolder
from pianogen.study.owner import Owner
from pianogen.study.store import MAX_COMMENT, Store
from pianogen.web import static_files

_NOT_KEPT = {"cache-control": "no-store"}


class Site:
    """Pages for raters and for the owner."""

    def __init__(self, folder: StudyFolder, store: Store, owner: Owner) -> None:
        self._folder, self._store, self._owner = folder, store, owner
        self._design = folder.design()
        self._consent = _paragraphs(folder)

    def router(self) -> APIRouter:
        """The addresses of the pages."""
        router = APIRouter()
        router.add_api_route("/", self._index)
        router.add_api_route("/results", self._results)
        router.add_api_route("/api/results", self._counts)
        pages, style = files("pianogen.study") / "pages", files("pianogen.render") / "page.css"
        router.include_router(static_files(Path(str(pages)), Path(str(style))))
        return router

    def _index(self, request: Request) -> Response:
        return self._page("index.html", request, consent=self._consent, max_comment=MAX_COMMENT)

    def _results(self, request: Request) -> Response:
        self._require_owner(request)
        return self._page("counts.html", request, counts=self._count())

    def _counts(self, request: Request) -> Response:
        self._require_owner(request)
        return JSONResponse(self._count(), headers=_NOT_KEPT)

    def _count(self) -> dict[str, int]:
        return {"planned": self._design.raters, **self._store.counts()}

    def _require_owner(self, request: Request) -> None:
        client = request.client.host if request.client else ""
        wait_s = self._owner.wait_s(request.headers.get("authorization"), client)
        if wait_s is None:
            raise HTTPException(401, "wrong or no password", {"www-authenticate": 'Basic realm="results"'})
        if wait_s > 0:
            raise HTTPException(429, "too many passwords were tried", {"retry-after": str(math.ceil(wait_s))})

    def _page(self, name: str, request: Request, **values: Any) -> Response:
        page = _environment().get_template(name)
        shown = page.render(design=self._design, csrf_token=request.scope["csrf_token"], **values)
        return HTMLResponse(shown, headers=_NOT_KEPT)


@cache
def _environment() -> Environment:
    loader = PackageLoader("pianogen.study", "pages")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _paragraphs(folder: StudyFolder) -> list[str]:
    """The text of consent.txt, whose paragraphs have empty lines between them; nothing if there is none."""
    return [part.strip() for part in folder.text("consent.txt").split("\n\n") if part.strip()]
