"""The pieces of a server by their IDs: one that it does not know any more is made again from its ID."""

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

from pianogen.errors import PianogenError, SettingError
from pianogen.generation import Prompt, Request, plan_limits
from pianogen.generation.limits import DEFAULT_TOKENS
from pianogen.play.engine import Engine
from pianogen.play.models import PlayModel
from pianogen.play.piece import ENDED, Piece
from pianogen.play.spec import PieceSettings, PieceSpec

_MAX_UNFINISHED = 4  # of a session: a browser has six connections to a server, and follows each piece with one
_MAX_ENDED = 1000  # pieces kept; the one that was read longest ago goes first


class TooManyPiecesError(PianogenError):
    """A visitor asks for more unfinished pieces than one may have."""


class PieceStore:
    """All pieces of a server."""

    def __init__(self, models: Mapping[str, PlayModel], engine: Engine, max_tokens: int) -> None:
        self.models, self._engine, self._max_tokens = models, engine, max_tokens
        self._pieces: OrderedDict[str, Piece] = OrderedDict()

    def create(
        self, model: PlayModel, seed: int | None, settings: PieceSettings, prompt: Prompt, visitor: str
    ) -> Piece:
        """Begin a piece, or find the one that is the same; without a seed one is drawn.

        Raises:
            SettingError: The settings contradict each other or leave nothing to generate, or are too much to ask for.
            QueueFullError, TooManyPiecesError: Too many pieces wait already, or too many are made for this visitor.
        """
        seed = secrets.randbits(31) if seed is None else seed
        settings = self._within_limits(settings, prompt)
        return self._begin(PieceSpec(model.name, model.sha256, seed, settings, prompt), visitor)

    def find(self, piece_id: str, visitor: str) -> Piece:
        """The piece of an ID; if it is not kept, was stopped or has failed, it is made again.

        Raises:
            SettingError: It is not an ID, or that of another server.
            QueueFullError, TooManyPiecesError: Too many pieces wait already, or too many are made for this visitor.
        """
        piece = self._pieces.get(piece_id)
        if piece is not None and piece.is_usable():
            return self._kept(piece)
        spec = PieceSpec.decode(piece_id)
        model = self.models.get(spec.model)
        if model is None:
            raise SettingError(f"this piece is by the model {spec.model!r}, which this server does not have")
        if (
            not model.sha256.startswith(spec.sha256)
            or model.tokenizer.steps_per_quarter != spec.prompt.steps_per_quarter
        ):
            raise SettingError(f"this piece is by another checkpoint of the model {spec.model!r}")
        settings = self._within_limits(spec.settings, spec.prompt)
        return self._begin(replace(spec, sha256=model.sha256, settings=settings), visitor)

    def kept(self, piece_id: str) -> Piece | None:
        """The piece of an ID, if the server has it, stopped or not."""
        piece = self._pieces.get(piece_id)
        return None if piece is None else self._kept(piece)

    def _begin(self, spec: PieceSpec, visitor: str) -> Piece:
        limits = plan_limits(spec.settings.config(), spec.prompt)
        request = Request(0, limits, spec.prompt.ids, spec.seed, spec.settings.config())
        piece = Piece(spec, request, visitor)
        known = self._pieces.get(piece.id)
        if known is not None and known.is_usable():
            return self._kept(known)
        self._check_number(visitor)
        self._engine.submit(piece)
        self._pieces[piece.id] = piece
        self._forget()
        return piece

    def _check_number(self, visitor: str) -> None:
        mine = [piece for piece in self._pieces.values() if piece.visitor == visitor and piece.state not in ENDED]
        if len(mine) >= _MAX_UNFINISHED:
            raise TooManyPiecesError(f"{len(mine)} pieces are being made for you; stop one, or wait until one is done")

    def _kept(self, piece: Piece) -> Piece:
        self._pieces.move_to_end(piece.id)
        piece.touch()
        return piece

    def _forget(self) -> None:
        ended = [piece.id for piece in self._pieces.values() if piece.state in ENDED]
        for piece_id in ended[: max(0, len(ended) - _MAX_ENDED)]:
            del self._pieces[piece_id]

    def _within_limits(self, settings: PieceSettings, prompt: Prompt) -> PieceSettings:
        """The settings, with a number of tokens: as many as bars or seconds can hold, or the default, or the most."""
        needed = len(prompt.ids) + 3  # one note and xxeos
        if needed > self._max_tokens:
            raise SettingError(
                f"the prompt has {len(prompt.ids)} tokens, and a piece at most {self._max_tokens} with it; cut it with"
                " end_step"
            )
        tokens = settings.tokens
        if tokens is None and settings.bars is None and settings.seconds is None:
            tokens = min(DEFAULT_TOKENS, self._max_tokens)
        if tokens is None:
            tokens = min(plan_limits(settings.config(), prompt).max_tokens, self._max_tokens)
        if not needed <= tokens <= self._max_tokens:
            raise SettingError(
                f"'tokens' is {tokens}, but must be from {needed} to {self._max_tokens}: the prompt's {len(prompt.ids)}"
                " tokens count, and a note has to follow"
            )
        return settings.model_copy(update={"tokens": tokens})
