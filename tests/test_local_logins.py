"""Guessing passwords: who has to wait, and who has not."""

import pytest
from tornado.httpclient import HTTPResponse

from tests.conftest import FakeClock
from tests.forms import (
    PASSWORD,
    Page,
    add_local_user,
    cookies_of,
    fail_to_sign_in,
    open_page,
)
from tests.service import Service, ServiceFactory
from tornado_auth.known_devices import LIFETIME

DEVICE = "tornado_auth_device"


async def try_to_sign_in(
    page: Page, username: str = "lena", password: str = PASSWORD, *, address: str = ""
) -> HTTPResponse:
    headers = {"X-Forwarded-For": address} if address else {}
    return await page.send(
        "/auth/login/local", headers=headers, username=username, password=password
    )


async def statuses(page: Page, number: int, username: str = "lena", **options: str) -> set[int]:
    """Guess so many times and return all that was answered."""
    answers = [await try_to_sign_in(page, username, "wrong", **options) for _ in range(number)]
    return {answer.code for answer in answers}


async def device_of(service: Service, username: str = "lena", device: str = "") -> str:
    """Sign in in a new browser, or one that knows somebody, and return what it keeps."""
    page = await open_page(service, **({DEVICE: device} if device else {}))
    response = await try_to_sign_in(page, username)
    assert response.code == 303
    return cookies_of(response)[DEVICE].value


# S138
async def test_after_ten_the_form_says_how_long_to_wait(
    make_service: ServiceFactory, clock: FakeClock
) -> None:
    service = await make_service(now=clock)
    await add_local_user(service)
    page = await open_page(service)
    for _ in range(10):
        response = await try_to_sign_in(page, password="guessed")
        assert response.code == 401
        assert b'id="login-error"' in response.body
        assert b'value="lena"' in response.body
        assert b"guessed" not in response.body
    # The right one is not even looked at, whatever the spelling of the name.
    for username in ("lena", "LENA"):
        response = await try_to_sign_in(page, username)
        assert response.code == 429
        assert 0 < int(response.headers["Retry-After"]) <= 300
        assert b"Too many attempts" in response.body
        assert b'id="login-form"' in response.body
        assert cookies_of(response) == {}
    clock.advance(int(response.headers["Retry-After"]))
    assert (await try_to_sign_in(page)).code == 303


# S138
async def test_a_success_forgives(service: Service) -> None:
    await add_local_user(service)
    page = await open_page(service)
    for _ in range(2):
        assert await statuses(page, 6) == {401}
        assert (await try_to_sign_in(page)).code == 303


# S138
async def test_a_name_that_nobody_has_is_answered_alike(service: Service) -> None:
    await add_local_user(service)
    known = await device_of(service)
    pages = [await open_page(service), await open_page(service, **{DEVICE: known})]
    answers = []
    for page in pages:
        for username in ("lena", "nobody"):
            response = await try_to_sign_in(page, username, "wrong")
            body = response.body.decode().replace(username, "NAME").replace(page.token, "")
            lines = [line for line in body.splitlines() if "_xsrf" not in line]
            answers.append((response.code, lines, cookies_of(response)))
    assert answers == answers[:1] * 4
    # And so is a name under attack: nobody learns by waiting whether there is such an account.
    assert await statuses(pages[0], 8, "nobody") == {401}
    assert await statuses(pages[0], 1, "nobody") == {429}


# S138
async def test_an_address_has_fifty_guesses_at_whomever(service: Service) -> None:
    await add_local_user(service)
    page = await open_page(service)
    for number in range(5):
        assert await statuses(page, 10, f"person{number}") == {401}
    assert await statuses(page, 1, "somebody-else") == {429}
    assert (await try_to_sign_in(page)).code == 429


# S138 S129
async def test_the_address_counts_as_the_trusted_proxy_tells_it(
    make_service: ServiceFactory,
) -> None:
    service = await make_service(TORNADO_AUTH_TRUSTED_PROXIES="127.0.0.0/8")
    await add_local_user(service)
    page = await open_page(service)
    for _ in range(50):
        await fail_to_sign_in(service, address="203.0.113.7")
        await fail_to_sign_in(service, address="2001:db8:1:2::/64")
    for forwarded, status in (
        ("203.0.113.7", 429),
        ("198.51.100.1, 203.0.113.7", 429),
        ("2001:db8:1:2:3::4", 429),
        ("203.0.113.8", 401),
        ("203.0.113.7, 198.51.100.1", 401),
        ("2001:db8:1:3::4", 401),
    ):
        assert await statuses(page, 1, "nobody", address=forwarded) == {status}, forwarded


# S138 S129
async def test_a_stranger_gets_no_other_address_by_a_header(service: Service) -> None:
    await add_local_user(service)
    page = await open_page(service)
    for number in range(50):
        assert await statuses(page, 1, f"x{number}", address=f"203.0.113.{number}") == {401}
    assert await statuses(page, 1, "another", address="203.0.113.99") == {429}


class TestKnownDevice:
    @pytest.fixture
    async def service(self, make_service: ServiceFactory, clock: FakeClock) -> Service:
        service = await make_service(now=clock, TORNADO_AUTH_TRUSTED_PROXIES="127.0.0.0/8")
        await add_local_user(service)
        return service

    # S138 S118
    async def test_a_browser_gets_it_with_the_session_and_keeps_it_long(
        self, service: Service
    ) -> None:
        page = await open_page(service)
        cookie = cookies_of(await try_to_sign_in(page))[DEVICE]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
        assert cookie["expires"]
        signed_out = await page.send("/auth/logout")
        assert DEVICE not in cookies_of(signed_out)

    async def test_only_who_has_signed_in_with_a_password_gets_it(
        self, service: Service, make_service: ServiceFactory
    ) -> None:
        assert DEVICE not in cookies_of(await try_to_sign_in(await open_page(service), "x", "y"))
        user = await service.server.accounts.find_by_username("lena")
        assert user is not None
        await service.server.accounts.set_disabled(user.id, disabled=True)
        refused = await try_to_sign_in(await open_page(service))
        assert (refused.code, DEVICE in cookies_of(refused)) == (403, False)
        developing = await make_service(dev=True)
        page = await open_page(developing)
        signed_in = await page.send("/auth/login/dev", username="dora")
        assert (signed_in.code, DEVICE in cookies_of(signed_in)) == (303, False)

    # S138
    async def test_the_victim_gets_in_while_the_account_is_under_attack(
        self, service: Service
    ) -> None:
        own = await open_page(service, **{DEVICE: await device_of(service)})
        attacker = await open_page(service)
        for number in range(3):
            assert 429 in await statuses(attacker, 11, address=f"203.0.113.{number}")
            assert (await try_to_sign_in(attacker)).code == 429
            assert (await try_to_sign_in(own)).code == 303
        # The same if the attack comes from the victim's own address.
        for number in range(5):
            await statuses(attacker, 10, f"person{number}", address="203.0.113.9")
        assert (await try_to_sign_in(attacker, "x", address="203.0.113.9")).code == 429
        assert (await try_to_sign_in(own, address="203.0.113.9")).code == 303
        # And that the victim got in makes the attack no easier.
        assert (await try_to_sign_in(attacker)).code == 429

    # S138
    async def test_it_has_a_limit_of_its_own(self, service: Service, clock: FakeClock) -> None:
        own = await open_page(service, **{DEVICE: await device_of(service)})
        assert await statuses(own, 9) == {401}
        assert (await try_to_sign_in(own)).code == 303
        # A page keeps the cookie that it was opened with; a browser would have the new one.
        assert await statuses(own, 10) == {401}
        refused = await try_to_sign_in(own)
        assert (refused.code, refused.headers["Retry-After"]) == (429, "300")
        # Others are not held up by it: neither strangers nor the next device.
        await device_of(service)
        clock.advance(300)
        assert (await try_to_sign_in(own)).code == 303

    # S138
    async def test_it_is_worth_nothing_for_another_account(self, service: Service) -> None:
        await add_other(service, "mallory")
        mallorys = await device_of(service, "mallory")
        attacker = await open_page(service, **{DEVICE: mallorys})
        assert await statuses(attacker, 10) == {401}
        assert (await try_to_sign_in(attacker)).code == 429
        # Nor does it help to have signed in as oneself again and again in between.
        for _ in range(3):
            attacker = await open_page(
                service, **{DEVICE: await device_of(service, "mallory", mallorys)}
            )
            assert (await try_to_sign_in(attacker)).code == 429
        # While the two who share a browser are both known there.
        shared = await device_of(service, "lena", device=await own_device(service))
        assert (await try_to_sign_in(await open_page(service, **{DEVICE: shared}))).code == 303

    # S138
    async def test_a_forged_one_counts_as_none(self, service: Service) -> None:
        real = await device_of(service)
        forgeries = (real[:-4], real[::-1], "x", "gAAAAA", "lena", "%00", "é")
        for number, forged in enumerate(forgeries):
            page = await open_page(service, **{DEVICE: forged})
            code = (await try_to_sign_in(page, password="wrong")).code
            assert code == 401, number
        attacker = await open_page(service)
        await statuses(attacker, 10)
        for forged in forgeries:
            page = await open_page(service, **{DEVICE: forged})
            assert (await try_to_sign_in(page)).code == 429, forged

    # S138
    async def test_a_new_password_makes_it_worthless(
        self, service: Service, clock: FakeClock
    ) -> None:
        device = await device_of(service)
        user = await service.server.accounts.find_by_username("lena")
        assert user is not None
        clock.advance(1)
        await service.server.local_accounts.set_password(user.id, PASSWORD)
        for _ in range(10):
            await fail_to_sign_in(service, account="lena")
        page = await open_page(service, **{DEVICE: device})
        assert (await try_to_sign_in(page)).code == 429

    async def test_it_ends_after_half_a_year(self, service: Service, clock: FakeClock) -> None:
        device = await device_of(service)
        clock.advance(LIFETIME)
        for _ in range(10):
            await fail_to_sign_in(service, account="lena")
        page = await open_page(service, **{DEVICE: device})
        assert (await try_to_sign_in(page)).code == 429


async def add_other(service: Service, username: str) -> None:
    user = await service.server.accounts.create(username)
    await service.server.local_accounts.set_password(user.id, PASSWORD)


async def own_device(service: Service) -> str:
    """Return what a browser keeps in which both have signed in, the victim first."""
    server = service.server
    users = [await server.accounts.find_by_username(name) for name in ("lena", "mallory")]
    sealed = ""
    for user in users:
        assert user is not None
        sealed = await server.local_logins.remember(sealed, user.id)
    return sealed
