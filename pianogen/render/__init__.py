"""Notes made visible and audible: pictures, and pages with players."""

from pianogen.render.page import embedded_json, escape, link, page, resource
from pianogen.render.piano_roll import piano_roll
from pianogen.render.player import player

__all__ = ["embedded_json", "escape", "link", "page", "piano_roll", "player", "resource"]
