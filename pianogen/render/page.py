"""Pages from Jinja2 templates: each a single HTML file that contains its style and script.

A page loads nothing, except sound.js beside it where it is made with `sound`: its content security policy makes the
browser refuse every other request. `templates/page.html` is the frame, which a page extends. Every value is escaped.
"""

import os
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render_template(template: str, /, **values: Any) -> Markup:
    """Fill in the template `templates/TEMPLATE`; the result may be a value of another template."""
    return Markup(_environment().get_template(template).render(values))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pianogen.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["resource"] = _resource
    environment.filters["relative_url"] = _relative_url
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment


def _relative_url(path: PurePath) -> str:
    return "./" + quote(os.fsencode(path.as_posix()))


def _resource(name: str) -> Markup:
    """A style or script of this package."""
    return Markup((files("pianogen.render") / name).read_text("utf-8"))
