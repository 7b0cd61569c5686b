"""What programs and the page send, checked by pydantic."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from pianogen.generation import Prompt
from pianogen.play.spec import PieceSettings, Seed, Tempo, TimeSignature

_MAX_NOTES = 20_000
Step = Annotated[int, Field(ge=0)]


class KnownPromptBody(BaseModel):
    """A prompt that the server has: one of the ten, or a file that was sent."""

    model_config = ConfigDict(extra="forbid")

    id: str
    end_step: Step | None = None
    """Only the notes that start before this step."""


class NotesBody(BaseModel):
    """A prompt of notes."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    notes: Annotated[list[tuple[int, int, int]], Field(max_length=_MAX_NOTES)]
    """[start, length, pitch] each, in steps of the model's grid and MIDI numbers, in any order."""
    end_step: Step | None = None
    """Only the notes that start before this step."""
    quarters_per_minute: Tempo = 120.0
    time_signature: TimeSignature = (4, 4)


class PieceBody(PieceSettings):
    """A piece to make."""

    num_tokens: Annotated[int, Field(ge=3)] | None = None
    """In place of `tokens`: the maximum length in tokens after the prompt."""
    model: str | None = None
    """By default the first one."""
    prompt: KnownPromptBody | NotesBody | None = None
    """What the piece continues; by default it starts from nothing."""
    seed: Seed | None = None
    """Drawn if there is none."""

    @model_validator(mode="after")
    def _has_one_length(self) -> "PieceBody":
        if self.tokens is not None and self.num_tokens is not None:
            raise PydanticCustomError("two_lengths", "'tokens' and 'num_tokens' exclude each other")
        return self

    def settings(self, prompt: Prompt) -> PieceSettings:
        """The settings of the piece; `num_tokens` becomes `tokens`."""
        settings = {name: getattr(self, name) for name in PieceSettings.model_fields}
        if self.num_tokens is not None:
            settings["tokens"] = len(prompt.ids) + self.num_tokens
        return PieceSettings(**settings)
