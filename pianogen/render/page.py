"""One template for every page: a single file with its style and script inside, which asks nothing of any network."""

import html
import json
import os
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

# the browser itself then refuses whatever would be fetched from elsewhere
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
{body}
<script>
{script}</script>
</body>
</html>
"""


def page(title: str, body: str, *, script: str = "") -> str:
    """Write a whole page; `body` is HTML, `title` is text, `script` runs after the body has been read."""
    return _PAGE.format(policy=_POLICY, title=escape(title), style=resource("page.css"), body=body, script=script)


def escape(value: object) -> str:
    """Make any value safe as text and inside a quoted attribute."""
    return html.escape(str(value), quote=True)


def link(path: PurePath) -> str:
    """A relative address of a file, safe inside a quoted attribute."""
    return escape("./" + quote(os.fsencode(path.as_posix())))


def embedded_json(value: Any) -> str:
    """JSON for a page's script to read; nothing in it can end the element that holds it."""
    text = json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json">{text}</script>'


@cache
def resource(name: str) -> str:
    """A style or script that lies beside this file."""
    return (files("pianogen.render") / name).read_text("utf-8")
