"""What the web applications share: the guard of every request, sessions, and the server."""

from pianogen.web.guard import Guard, Limits
from pianogen.web.place import Place
from pianogen.web.server import serve, serving
from pianogen.web.sessions import Sessions

__all__ = ["Guard", "Limits", "Place", "Sessions", "serve", "serving"]
