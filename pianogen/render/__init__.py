"""Notes as pictures, and pages with players."""

from pianogen.render.page import render_template
from pianogen.render.piano_roll import piano_roll
from pianogen.render.player import player

__all__ = ["piano_roll", "player", "render_template"]
