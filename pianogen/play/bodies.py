"""What programs and the page send, checked by pydantic."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

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

    model: str | None = None
    """By default the first one."""
    prompt: KnownPromptBody | NotesBody | None = None
    """What the piece continues; by default it starts from nothing."""
    seed: Seed | None = None
    """Drawn if there is none."""

    def settings(self) -> PieceSettings:
        """Without model, prompt and seed."""
        return PieceSettings(**{name: getattr(self, name) for name in PieceSettings.model_fields})
