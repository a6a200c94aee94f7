"""Proof that the loop is never blocked: any call of ours that would is an error in every test.

What may block, and why, is listed here and nowhere else.
"""

from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx


@pytest.fixture(autouse=True)
def never_block() -> Iterator[None]:
    with blockbuster_ctx("tornado_auth") as blockbuster:
        for name in ("Connection.execute", "Cursor.fetchall"):
            # An indexed read takes microseconds, less than the way to another thread.
            blockbuster.functions[f"sqlite3.{name}"].can_block_in("storage/sqlite.py", {"read"})
        for function in blockbuster.functions.values():
            # All of these run before the loop serves anybody: settings, keys, templates and
            # provider modules are read, addresses are bound, a driver is imported.
            function.can_block_in("tornado_auth/settings.py", {"load_settings"})
            function.can_block_in("tornado_auth/server.py", {"__init__"})
            function.can_block_in("tornado_auth/app.py", {"make_app", "bind"})
            function.can_block_in("storage/mongodb.py", {"_connect", "open"})
            function.can_block_in("storage/sqlite.py", {"_path_of"})
            # What it is for: synchronous code, whoever's thread that runs on.
            function.can_block_in("resource_server/verifiers.py", {"verify_sync"})
        yield
