"""What tests need of npm: packages that a lock file pins, installed when they are missing.

Without node and npm the tests that need them are skipped; where CI=true or REQUIRE_ALL_TESTS=1
they fail.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

INSTALL_LIMIT = 300.0


def require(program: str) -> str:
    """Return the path of node or npm, or end the test that asks for it."""
    path = shutil.which(program)
    if path:
        return path
    sentence = f"There is no {program}: install Node.js 18 or newer."
    if os.environ.get("CI") == "true" or os.environ.get("REQUIRE_ALL_TESTS") == "1":
        pytest.fail(sentence)
    pytest.skip(sentence)


def install(folder: Path) -> None:
    """Install what the package-lock.json in `folder` pins, unless that was done before."""
    lock_file, installed = folder / "package-lock.json", folder / "node_modules" / ".installed"
    npm = require("npm")
    # One at a time: the workers of a test run share the folder.
    with lock_file.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pinned = lock_file.read_text()
        if installed.is_file() and installed.read_text() == pinned:
            return
        subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund"],
            cwd=folder,
            check=True,
            timeout=INSTALL_LIMIT,
            stdout=subprocess.DEVNULL,
        )
        installed.write_text(pinned)
