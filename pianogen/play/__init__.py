"""A page to play with models: visitors' pieces are made in one batch, and heard while they are made."""

from pianogen.play.app import build_app, play

__all__ = ["build_app", "play"]
