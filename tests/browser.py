"""Real Chromium for tests of the pages.

chromium     the DevTools address of one Chromium process, for the whole test run
open_window  a factory of windows, each with cookies of its own:
             `window = await open_window(scripts=False)`, then `window.page` is Playwright's

A window remembers what an attack or a mistake in our policy would leave behind. Nothing in it
reaches another machine. Without Chromium the tests are skipped; where CI=true or
REQUIRE_ALL_TESTS=1 they fail.
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Dialog, Page, async_playwright

START_LIMIT = 30.0
STEP_LIMIT = 5000  # milliseconds
PR_SET_PDEATHSIG = 1
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
)


class Window:
    """A page in a context of its own, and what happened in it.

    `dialogs` are the alerts that somebody's script opened, `complaints` what the browser refused or
    could not run; a status 4xx and a host on another machine are none.
    """

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context, self.page = context, page
        self.dialogs: list[str] = []
        self.complaints: list[str] = []
        context.on("dialog", self._dialog)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    async def cookie(self, name: str) -> dict[str, Any]:
        """Return a cookie with its attributes, {} if there is none."""
        cookies = await self.context.cookies()
        return next((dict(cookie) for cookie in cookies if cookie["name"] == name), {})

    async def text(self, selector: str) -> str:
        """Return the text of an element, in one line."""
        return " ".join((await self.page.inner_text(selector)).split())

    async def count(self, selector: str) -> int:
        return await self.page.locator(selector).count()

    async def focused(self) -> str:
        """Return the id of the element that has the keyboard."""
        return str(await self.page.evaluate("document.activeElement.id"))

    async def _dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        await dialog.dismiss()

    def _console(self, message: ConsoleMessage) -> None:
        expected = re.search(r"responded with a status of 4|ERR_NAME_NOT_RESOLVED", message.text)
        if message.type in ("error", "warning") and not expected:
            self.complaints.append(message.text)


OpenWindow = Callable[..., Awaitable[Window]]


def require_chromium() -> str:
    path = shutil.which("chromium")
    if path:
        return path
    sentence = "There is no Chromium: install the package chromium."
    if os.environ.get("CI") == "true" or os.environ.get("REQUIRE_ALL_TESTS") == "1":
        pytest.fail(sentence)
    pytest.skip(sentence)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@pytest.fixture(scope="session")
def chromium() -> Iterator[str]:
    program = require_chromium()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        log, port = folder / "log", folder / "profile" / "DevToolsActivePort"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, *ARGUMENTS, f"--user-data-dir={port.parent}"],
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,
            )
        try:
            yield "ws://127.0.0.1:" + _read_address(process, port, log)
        finally:
            process.terminate()
            process.wait()


def _read_address(process: "subprocess.Popen[bytes]", port: Path, log: Path) -> str:
    deadline = time.monotonic() + START_LIMIT
    while True:
        lines = port.read_text().splitlines() if port.exists() else []
        if len(lines) == 2:
            return "".join(lines)
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"Chromium did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.02)


@pytest.fixture
async def open_window(chromium: str) -> AsyncIterator[OpenWindow]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(chromium)
        contexts: list[BrowserContext] = []

        async def open_window(
            *, scripts: bool = True, width: int = 1200, height: int = 800, **options: Any
        ) -> Window:
            context = await browser.new_context(
                java_script_enabled=scripts,
                viewport={"width": width, "height": height},
                locale="en-GB",
                **options,
            )
            contexts.append(context)
            context.set_default_timeout(STEP_LIMIT)
            return Window(context, await context.new_page())

        yield open_window
        for context in contexts:
            await context.close()
        await browser.close()
