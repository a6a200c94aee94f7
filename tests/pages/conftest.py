"""The fixtures of the tests in a browser, beside the catalogue in tests/conftest.py.

chromium, open_window  real Chromium: see tests/browser.py
site                   another web site, and what browsers brought to it
make_world, world      a service with clients: see tests/oauth2/world.py
house, anna            a service with people, groups and roles, and one of these people
admin, root            its administration, and an administrator's browserless browser
"""

from collections.abc import AsyncIterator

import pytest

from tests.browser import chromium, open_window
from tests.browserless import Browser
from tests.flows.journeys import Site
from tests.oauth2.world import make_world, world
from tests.pages.admins import furnish, sign_in_with_role
from tests.service import Service, ServiceFactory
from tornado_auth.administration import Administration
from tornado_auth.models import User

__all__ = ["chromium", "make_world", "open_window", "world"]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    yield site
    await site.stop()


@pytest.fixture
async def house(make_service: ServiceFactory) -> Service:
    return await make_service(ALLOWED_SERVICES="reports:tornado_auth.roles")


@pytest.fixture
def admin(house: Service) -> Administration:
    return house.server.administration


@pytest.fixture
async def anna(house: Service) -> User:
    return await furnish(house)


@pytest.fixture
async def root(house: Service) -> AsyncIterator[Browser]:
    browser = Browser()
    token = await sign_in_with_role(house, "root", "administrator")
    browser.keep_cookie(house.url, f"tornado_auth={token}; Path=/; HttpOnly")
    await browser.get(f"{house.url}/auth/admin")
    yield browser
    browser.close()
