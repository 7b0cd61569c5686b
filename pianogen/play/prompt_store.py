"""The prompts of a server: ten scores of music21's corpus, each read when it is first used, and visitors' files."""

import hashlib
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.to_thread
from fastapi import HTTPException

from pianogen.config import TokenizerConfig
from pianogen.errors import SourceError
from pianogen.play.prompts import KnownPrompt
from pianogen.play.uploads import read_file, read_upload
from shards.corpus import PIANO_PIECES
from shards.sources import SourceFile

_MAX_KEPT = 100  # the one that was used longest ago goes first
_READ_AT_ONCE = 2  # processes
# their composers died at least seventy years ago, and the encodings carry no terms of their own
_SCORES = {name.removesuffix(".mxl").replace("/", "-"): name for name in PIANO_PIECES if name.endswith(".mxl")}


class PromptStore:
    """Prompts by their IDs, each on the grid of a tokenizer."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, TokenizerConfig], KnownPrompt] = OrderedDict()
        self._limiter = anyio.CapacityLimiter(_READ_AT_ONCE)

    @staticmethod
    def listed() -> list[dict[str, str]]:
        """The scores, without reading them."""
        return [
            {"id": one, "title": PIANO_PIECES[name][1], "composer": PIANO_PIECES[name][0]}
            for one, name in _SCORES.items()
        ]

    async def find(self, prompt_id: str, tokenizer: TokenizerConfig) -> KnownPrompt:
        """A prompt on a grid.

        Raises:
            HTTPException: There is none of this ID, or it was sent for a model of another grid.
            SourceError: The installed music21 does not have the score.
        """
        key = prompt_id, tokenizer
        if key not in self._kept and prompt_id in _SCORES:
            self._keep(
                await anyio.to_thread.run_sync(_read_score, prompt_id, tokenizer, limiter=self._limiter), tokenizer
            )
        if key not in self._kept:
            raise HTTPException(404, f"the server has no prompt {prompt_id!r} for this model; send the file again")
        self._kept.move_to_end(key)
        return self._kept[key]

    async def add(self, name: str, data: bytes, tokenizer: TokenizerConfig) -> KnownPrompt:
        """Read a file that a visitor sent.

        Raises:
            SourceError: It is not a MIDI file or score, or is broken or empty.
        """
        prompt_id = hashlib.sha256(data).hexdigest()[:16]
        read = await anyio.to_thread.run_sync(read_upload, prompt_id, name, data, tokenizer, limiter=self._limiter)
        self._keep(read, tokenizer)
        return read

    def _keep(self, prompt: KnownPrompt, tokenizer: TokenizerConfig) -> None:
        self._kept[prompt.id, tokenizer] = prompt
        if len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)


def _read_score(prompt_id: str, tokenizer: TokenizerConfig) -> KnownPrompt:
    name = _SCORES[prompt_id]
    package = find_spec("music21")  # finding it is enough: to import it takes seconds
    if package is None or not package.submodule_search_locations:
        raise SourceError("the scores to continue are those of music21, which is not installed")
    path = Path(package.submodule_search_locations[0]) / "corpus" / name
    composer, title = PIANO_PIECES[name]
    with TemporaryDirectory(prefix="pianogen-play-") as folder:
        return read_file(
            SourceFile(name, str(path), composer=composer, title=title), prompt_id, tokenizer, Path(folder)
        )
