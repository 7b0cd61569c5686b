"""What the web applications share: the guard of every request, sessions, files of pages, and the server."""

from pianogen.web.guard import Guard, Limits
from pianogen.web.place import Place
from pianogen.web.server import serve, serving
from pianogen.web.sessions import Sessions
from pianogen.web.static import static_files

__all__ = ["Guard", "Limits", "Place", "Sessions", "serve", "serving", "static_files"]
