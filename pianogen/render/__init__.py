"""Notes made visible."""

from pianogen.render.piano_roll import piano_roll

__all__ = ["piano_roll"]
