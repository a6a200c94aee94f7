"""The files that the pages are made with, read once, before the loop serves anybody.

Owns the templates and the style sheet in memory. Never serves anything that is not in the package.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tornado.template import BaseLoader, DictLoader
from tornado.web import HTTPError

from tornado_auth.web.base import BaseHandler

PAGES = Path(__file__).parent.parent / "pages"

_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


class StaticHandler(BaseHandler):
    """GET /auth/static/<name>: a style sheet or picture."""

    def get(self, name: str) -> None:
        """Answer with the file; browsers and proxies may keep it for a while."""
        files: dict[str, bytes] = self.settings["static_files"]
        if name not in files:
            raise HTTPError(404)
        self.set_header("Content-Type", _TYPES[Path(name).suffix])
        self.set_header("Cache-Control", "public, max-age=300")
        self.finish(files[name])

    def write_error(self, status_code: int, **kwargs: object) -> None:
        """Answer an error with its status alone."""
        self.start_error(status_code, None)
        self.finish()


def load_files() -> dict[str, bytes]:
    """Read every static file."""
    return {path.name: path.read_bytes() for path in (PAGES / "static").iterdir()}


def load_templates(own: Mapping[str, str]) -> BaseLoader:
    """Read and compile every template; `own` are texts by name, beside ours or in their place."""
    return _compiled(tuple(sorted(own.items())))


@cache
def _compiled(own: tuple[tuple[str, str], ...]) -> BaseLoader:
    ours = {path.name: path.read_text("utf-8") for path in (PAGES / "templates").iterdir()}
    loader = DictLoader({**ours, **dict(own)})
    for name in loader.dict:
        loader.load(name)
    return loader
