"""The networks: tokens and a carried state in, logits and the next state out."""

from pianogen.models.model import PianoModel, State, build_model

__all__ = ["PianoModel", "State", "build_model"]
