"""One thread makes all visitors' pieces: those of one model in one batch, which they join and leave at any word."""

import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import ExitStack

from pianogen.config import GenerateConfig
from pianogen.errors import PianogenError, RunError
from pianogen.generation import Limits, Request, sample
from pianogen.generation.sampler import Batch
from pianogen.ops.arithmetic import reproducible_on_gpu
from pianogen.play.models import PlayModel
from pianogen.play.piece import Piece, State
from pianogen.progress import console

_WORDS = 8  # appended to every piece between two looks at who has come and gone
_IDLE_S = 1.0  # until the next look when nothing is to be done


class QueueFullError(PianogenError):
    """As many pieces wait as may wait."""


class Engine:
    """The thread, and a batch for each model."""

    def __init__(self, models: Iterable[PlayModel], rows: int, queue: int) -> None:
        """Make at most `rows` pieces of each model at a time, and let at most `queue` more wait."""
        self._batches = {model.name: _ModelBatch(model, rows) for model in models}
        self._queue, self._wake, self._is_stopping = queue, threading.Event(), False
        self._is_ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="pianogen-play", daemon=True)

    def start(self) -> None:
        """Start the thread, and wait until it has made a short piece of each model.

        Raises:
            RunError: A model cannot make one, such as for want of memory.
        """
        self._thread.start()
        self._is_ready.result()

    def stop(self) -> None:
        """End all unfinished pieces, and the thread; those who read them are told at once."""
        self._is_stopping = True
        self._wake.set()
        self._thread.join()
        for batch in self._batches.values():
            batch.end_all("stopped", "the server is stopped")

    def submit(self, piece: Piece) -> None:
        """Let a piece join its model's batch, or wait until a row is free.

        Raises:
            QueueFullError: Too many pieces wait already, or the server is being stopped.
        """
        if self._is_stopping:
            raise QueueFullError("the server is being stopped")
        num_waiting = sum(len(batch.waiting) for batch in self._batches.values())
        if num_waiting >= self._queue:
            raise QueueFullError(f"{num_waiting} pieces wait already, and no more may; try again in a few seconds")
        batch = self._batches[piece.spec.model]
        piece.position = len(batch.waiting)
        batch.add(piece)
        self._wake.set()

    def _run(self) -> None:
        with ExitStack() as stack:
            try:
                stack.enter_context(reproducible_on_gpu())
                for batch in self._batches.values():
                    stack.enter_context(batch.ready())
            except BaseException as error:  # the caller of `start` raises it
                self._is_ready.set_exception(error)
                return
            self._is_ready.set_result(None)
            while not self._is_stopping:
                self._wake.clear()
                at_work = sum(batch.advance() for batch in self._batches.values())
                if not at_work:
                    self._wake.wait(_IDLE_S)


class _ModelBatch:
    """The batch of one model and the pieces that wait for a row; only the engine's thread takes from `waiting`."""

    def __init__(self, model: PlayModel, rows: int) -> None:
        self._model, self._rows = model, rows
        self._batch = self._new_batch()
        self._pieces: dict[Request, Piece] = {}  # waiting or in the batch
        self.waiting: deque[Request] = deque()

    def ready(self) -> ExitStack:
        """Prepare the model until the end of a `with` block, and make one short piece: the first one is slow.

        Raises:
            RunError: The model cannot make it.
        """
        try:
            with ExitStack() as stack:
                stack.enter_context(self._model.model.in_evaluation_mode())
                sample(self._model.model, [Request(0, Limits(max_tokens=9))], GenerateConfig(), self._model.mask)
                stack.enter_context(self._model.model.packed())
                return stack.pop_all()
        except Exception as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise RunError(
                f"the model {self._model.name!r} cannot make a piece ({why}); choose others with --models, or another"
                " --device"
            ) from error

    def add(self, piece: Piece) -> None:
        """Append a piece to those that wait."""
        self._pieces[piece.request] = piece
        self.waiting.append(piece.request)

    def advance(self) -> bool:
        """Append some words to every piece; returns whether there are any."""
        try:
            self._drop_unwanted()
            if not self._batch.fill(self.waiting):
                return False
            for made in self._batch.advance(_WORDS):
                self._pieces.pop(made.request).finish(made)
            for request, tokens in self._batch.unfinished():
                self._pieces[request].advance(tokens)
            for position, request in enumerate(list(self.waiting)):
                self._pieces[request].position = position
        except Exception as error:  # such as no memory: visitors are told, and the server goes on
            console.print_exception()
            self._end_started(
                "failed", f"the server could not go on with this piece ({type(error).__name__}); try again"
            )
            self._batch = self._new_batch()
        return True

    def end_all(self, state: State, reason: str) -> None:
        """End all pieces, also those that wait."""
        self.waiting.clear()
        self._end_started(state, reason)

    def _end_started(self, state: State, reason: str) -> None:
        for request in list(self._pieces):
            if request not in self.waiting:
                self._pieces.pop(request).end(state, reason)

    def _drop_unwanted(self) -> None:
        for request, piece in list(self._pieces.items()):
            if piece.is_unwanted():
                if request in self.waiting:
                    self.waiting.remove(request)
                else:
                    self._batch.stop(request)
                self._pieces.pop(request).end("stopped")

    def _new_batch(self) -> Batch:
        return Batch(self._model.model, GenerateConfig(), self._model.mask, self._rows)
