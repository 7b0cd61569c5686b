"""The files of pages under /static: a fixed list by name, so that no address names a path."""

from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}


def static_files(pages: Path, *shared: Path) -> APIRouter:
    """Serve the style sheets, scripts and pictures in a folder, and these files beside them; templates stay."""
    found = [*(path for path in pages.iterdir() if path.suffix in _MEDIA_TYPES), *shared]
    served = {path.name: path for path in found}
    router = APIRouter()

    @router.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> FileResponse:
        path = served.get(name)
        if path is None:
            raise HTTPException(404, "there is no such file")
        return FileResponse(path, media_type=_MEDIA_TYPES[path.suffix], headers={"cache-control": "no-cache"})

    return router
