"""Guessing at two processes at once: the limit is that of the store, not of a process."""

import asyncio
import re
from http.cookies import SimpleCookie

import pytest
from tornado.httpclient import HTTPResponse

from tests.flows.processes import Client, Cluster, MakeCluster

PASSWORD = "correct horse battery staple"
DEVICE = "tornado_auth_device"


@pytest.fixture
def two(cluster: MakeCluster, database_url: str) -> Cluster:
    """Two processes behind a proxy, and a local account."""
    made = cluster(
        DATABASE_URL=database_url,
        TORNADO_AUTH_TRUSTED_PROXIES="127.0.0.0/8",
        TORNADO_AUTH_STORAGE_TIMEOUT="10",
    )
    result = made.run("users", "add", "lena", "--password-stdin", input=f"{PASSWORD}\n")
    assert result.returncode == 0, result.stderr
    made.start(2)
    return made


class Visitor:
    """A browser at an address, which sends the sign-in form to any of the processes."""

    def __init__(self, client: Client, address: str) -> None:
        self._client = client
        self._address = address
        self.cookies: dict[str, str] = {}
        self._token = ""

    async def open(self, url: str) -> "Visitor":
        page = await self._client.fetch(f"{url}/auth/login")
        found = re.search(r'name="_xsrf" value="([^"]+)"', page.body.decode())
        assert found
        self._token = found[1]
        self._take_cookies(page)
        return self

    async def sign_in(
        self, url: str, password: str = PASSWORD, *, username: str = "lena"
    ) -> HTTPResponse:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return await self._client.fetch(
            f"{url}/auth/login/local",
            form={"_xsrf": self._token, "username": username, "password": password},
            headers={"Cookie": cookies, "X-Forwarded-For": self._address},
        )

    def _take_cookies(self, response: HTTPResponse) -> None:
        for line in response.headers.get_list("Set-Cookie"):
            cookies = SimpleCookie(line)
            self.cookies |= {name: morsel.value for name, morsel in cookies.items()}

    async def become_known(self, url: str) -> None:
        """Sign in, and be left with what tells this browser apart."""
        response = await self.sign_in(url)
        assert response.code == 303, response.body
        (line,) = [li for li in response.headers.get_list("Set-Cookie") if li.startswith(DEVICE)]
        self.cookies[DEVICE] = SimpleCookie(line)[DEVICE].value


# S138
@pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("mongodb", marks=pytest.mark.long)], indirect=True
)
async def test_fifty_guesses_at_once_over_both_are_ten_and_the_victim_still_gets_in(
    two: Cluster, client: Client
) -> None:
    urls = [process.url for process in two.processes]
    victim = await Visitor(client, "198.51.100.1").open(urls[0])
    await victim.become_known(urls[0])
    guessers = [await Visitor(client, f"203.0.113.{n}").open(urls[0]) for n in range(5)]

    answers = await asyncio.gather(
        *(guessers[n % 5].sign_in(urls[n % 2], f"guess {n}") for n in range(50))
    )
    codes = [answer.code for answer in answers]
    assert (codes.count(401), codes.count(429)) == (10, 40)
    waits = {int(answer.headers["Retry-After"]) for answer in answers if answer.code == 429}
    assert all(0 < wait <= 300 for wait in waits)
    tried = [
        process.metric("logins_total", provider="local", result="wrong_password")
        for process in two.processes
    ]
    assert sum(tried) == 10

    # No process lets anybody in by the right password now, from whatever address, ...
    for number, url in enumerate(urls):
        stranger = await Visitor(client, f"192.0.2.{number}").open(url)
        refused = await stranger.sign_in(url)
        assert (refused.code, "Retry-After" in refused.headers) == (429, True)
        # ... not with a device that is not quite the victim's, ...
        stranger.cookies[DEVICE] = victim.cookies[DEVICE][:-1]
        assert (await stranger.sign_in(url)).code == 429
    # ... but for the victim's own browser, at either process and while the attack goes on.
    *refusals, there, here = await asyncio.gather(
        *(guesser.sign_in(url) for guesser in guessers for url in urls),
        *(victim.sign_in(url) for url in reversed(urls)),
    )
    assert {answer.code for answer in refusals} == {429}
    assert (there.code, here.code) == (303, 303)


# S138
@pytest.mark.long
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_address_has_its_fifty_over_both_whoever_they_are_tried_on(
    two: Cluster, client: Client
) -> None:
    urls = [process.url for process in two.processes]
    # Whoever has one address of a /64 has all of them.
    guessers = [await Visitor(client, f"2001:db8:1:2::{n}").open(urls[0]) for n in range(4)]
    answers = await asyncio.gather(
        *(
            guessers[n % 4].sign_in(urls[n % 2], "a guess", username=f"person{n % 12}")
            for n in range(60)
        )
    )
    codes = [answer.code for answer in answers]
    assert (codes.count(401), codes.count(429)) == (50, 10)
    assert (await guessers[0].sign_in(urls[1])).code == 429
    neighbour = await Visitor(client, "2001:db8:1:3::1").open(urls[1])
    assert (await neighbour.sign_in(urls[1])).code == 303
