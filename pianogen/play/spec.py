"""All that decides a piece, and its ID: the same ID gives the same piece again, on any day and in any batch.

An ID is what a link carries: JSON and the prompt's tokens, compressed, in the alphabet of URLs. So the server keeps
nothing that a link needs.
"""

import base64
import json
import zlib
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pianogen.config import GenerateConfig
from pianogen.errors import SettingError, TokenError
from pianogen.generation.prompt import Prompt, clock_and_end
from pianogen.tokens import decode, encode

MAX_ID_CHARACTERS = 12_000  # of the 16,000 bytes that a server takes for a request's headers
_MAX_BYTES = 200_000  # of an ID when it is decompressed
_DIGITS = 12  # of the checkpoint's sha256
_NOT_AN_ID = "this is not the ID of a piece, or a part of it is missing; copy the whole link"

Positive = Annotated[float, Field(gt=0)]
Length = Annotated[float, Field(gt=0, le=1e6)]  # bars or seconds; their steps fit in 64 bits
Share = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=1 << 53)]  # JavaScript's whole numbers
TimeSignature = tuple[Annotated[int, Field(ge=1, le=64)], Annotated[int, Field(ge=1, le=64)]]
Tempo = Annotated[float, Field(ge=10, le=1000)]  # quarters per minute


class PieceSettings(BaseModel):
    """The settings of `GenerateConfig` that decide which words are drawn: the same names, defaults and meanings."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())

    tokens: Annotated[int, Field(ge=5)] | None = None
    bars: Length | None = None
    seconds: Length | None = None
    min_tokens: Annotated[int, Field(ge=0)] | None = None
    min_bars: Length | None = None
    min_seconds: Length | None = None
    temperature: Positive = 1.0
    duration_temperature: Positive | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None
    top_p: Share | None = None
    min_p: Share | None = None

    def config(self, seed: int = 0) -> GenerateConfig:
        """As settings of `pianogen generate`."""
        return GenerateConfig(num=1, seed=seed, **self.model_dump())


class _Header(BaseModel):
    """The JSON of an ID; short names, since a link is typed into mails."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    m: str
    c: str
    s: Seed
    o: PieceSettings
    p: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1, le=48)], Tempo, TimeSignature]
    """Of the prompt: its steps, its steps per quarter, its tempo and its time signature."""


@dataclass(frozen=True)
class PieceSpec:
    """All that decides a piece."""

    model: str
    sha256: str
    """Of the model's weights."""
    seed: int
    settings: PieceSettings
    prompt: Prompt = field(default_factory=Prompt)

    @property
    def checkpoint(self) -> str:
        """What an ID says about the weights."""
        return self.sha256[:_DIGITS]

    def encode(self) -> str:
        """The ID.

        Raises:
            SettingError: The prompt is too long for a link.
        """
        prompt, header = self.prompt, {"m": self.model, "c": self.checkpoint, "s": self.seed}
        header["o"] = self.settings.model_dump(exclude_defaults=True)
        header["p"] = [prompt.num_steps, prompt.steps_per_quarter, prompt.quarters_per_minute, prompt.time_signature]
        text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
        data = zlib.compress(text + b"\n" + prompt.ids[2:].astype("<i2").tobytes(), 9)
        made = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
        if len(made) > MAX_ID_CHARACTERS:
            raise SettingError(
                f"the prompt has {len(prompt.ids)} tokens, too many for a link of {MAX_ID_CHARACTERS} characters;"
                " cut it with end_step"
            )
        return made

    @classmethod
    def decode(cls, made: str) -> "PieceSpec":
        """The inverse of `encode`; of the SHA-256 there is only the beginning.

        Raises:
            SettingError: It is not an ID.
        """
        try:
            text, body = _decompressed(made).split(b"\n", 1)
            header = _Header.model_validate_json(text)
            num_steps, spq, tempo, metre = header.p
            ids = np.concatenate([Prompt().ids, np.frombuffer(body, "<i2").astype(np.int16)])
            prompt = Prompt(ids, num_steps, spq, tempo, metre)
            _check(prompt)
        except (ValueError, zlib.error, ValidationError, TokenError) as error:
            raise SettingError(_NOT_AN_ID) from error
        return cls(header.m, header.c, header.s, header.o, prompt)


def _decompressed(made: str) -> bytes:
    if len(made) > MAX_ID_CHARACTERS:
        raise ValueError("too long")
    data = base64.b64decode(made + "=" * (-len(made) % 4), altchars=b"-_", validate=True)
    stream = zlib.decompressobj()
    text = stream.decompress(data, _MAX_BYTES)
    if not stream.eof or stream.unused_data:  # only the whole has passed zlib's check sum
        raise ValueError("too large, or not the whole")
    return text


def _check(prompt: Prompt) -> None:
    """Refuse tokens that no prompt has: other than those of its notes in their order."""
    if len(prompt.ids) == 2:
        prompt_is_whole = prompt.num_steps == 0
    else:
        same = np.array_equal(encode(decode(prompt.ids, allow_open=True))[:-1], prompt.ids)
        clock, end = clock_and_end(prompt.ids)
        prompt_is_whole = same and clock < prompt.num_steps <= end
    if not prompt_is_whole:
        raise ValueError("not a prompt")
