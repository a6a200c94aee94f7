"""The fixtures of the tests in a browser, beside the catalogue in tests/conftest.py.

chromium, open_window  real Chromium: see tests/browser.py
site                   another web site, and what browsers brought to it
"""

from collections.abc import AsyncIterator

import pytest

from tests.browser import chromium, open_window
from tests.flows.journeys import Site

__all__ = ["chromium", "open_window"]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    yield site
    await site.stop()
