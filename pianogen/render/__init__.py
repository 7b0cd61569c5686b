"""Notes as pictures, and pages with players."""

from pianogen.render.page import render_template
from pianogen.render.piano_roll import piano_roll
from pianogen.render.player import player
from pianogen.render.surprise_roll import surprise_roll

__all__ = ["piano_roll", "player", "render_template", "surprise_roll"]
