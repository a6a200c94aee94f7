"""The shipped deploy/nginx.conf, run by a real nginx in front of a real service."""

import json
import subprocess
from pathlib import Path

import pytest
from tornado.web import Application, RequestHandler

from tests.deploy.site import PAGE, SPOOFED, Deploy, MakeSite
from tests.nginx import EVERYBODY, Policy, command, write_configuration
from tests.ports import free_port
from tornado_auth.app import ROUTES


def test_nginx_takes_the_shipped_file_without_a_warning(tmp_path: Path) -> None:
    write_configuration(
        tmp_path,
        service="127.0.0.1:8080",
        application="127.0.0.1:8000",
        port=free_port(),
        plain_port=free_port(),
        policy=EVERYBODY,
    )
    tried = subprocess.run(
        [*command(tmp_path), "-t"], capture_output=True, text=True, check=False, timeout=20
    )
    assert tried.returncode == 0, tried.stderr
    assert "warn" not in tried.stderr
    assert "successful" in tried.stderr


# S126 S129
async def test_identity_headers_from_a_client_never_arrive(deploy: Deploy) -> None:
    ann = await deploy()
    spoofed = {name: f"spoofed-{number}" for number, name in enumerate(SPOOFED)}
    answer = await ann.site.fetch("/x", headers=spoofed | ann.cookie)
    assert answer.code == 200
    assert b"spoofed" not in answer.body
    arrived = json.loads(answer.body)["headers"]
    assert arrived["X-Auth-User"] == ann.user_id
    assert arrived["X-Forwarded-For"] == "127.0.0.1"
    assert arrived["X-Forwarded-Proto"] == "https"
    assert not {"Remote-User", "X-Auth-Permissions", "X-Forwarded-User"} & arrived.keys()


# S127
@pytest.mark.parametrize("status", [204, 302, 304, 400, 404, 405, 429, 500, 502, 503])
async def test_only_200_of_the_service_lets_a_request_pass(
    make_site: MakeSite, status: int
) -> None:
    class Verify(RequestHandler):
        def get(self) -> None:
            self.set_header("Location", "/")
            self.set_status(status)
            self.finish()

    site = make_site(Application([(r"/auth/verify", Verify)]))
    answer = await site.fetch("/x", headers=PAGE)
    # nginx counts each 2xx as a yes; the service never answers any but 200.
    assert (answer.code, len(site.seen)) == ((200, 1) if status == 204 else (500, 0))


# S127
async def test_nobody_passes_while_the_service_is_away(make_site: MakeSite) -> None:
    site = make_site(free_port())
    assert (await site.fetch("/x", headers=PAGE)).code == 500
    assert (await site.fetch("/auth/check")).code == 502
    assert site.seen == []


async def test_a_store_that_is_away_is_a_503_and_no_refusal(make_site: MakeSite) -> None:
    class Verify(RequestHandler):
        def get(self) -> None:
            self.set_status(403)
            self.set_header("X-Auth-Reason", self.get_argument("service"))
            self.finish()

    policy = Policy(service="storage_unavailable")
    answer = await make_site(Application([(r"/auth/verify", Verify)]), policy=policy).fetch("/x")
    assert answer.code == 503
    assert answer.headers["Retry-After"] == "1"


# S127
async def test_a_program_gets_401_and_a_person_the_sign_in_page(deploy: Deploy) -> None:
    ann = await deploy()
    answer = await ann.site.fetch("/x?a=1&b=2")
    assert answer.code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.body) == {"error": "login_required"}
    posted = await ann.site.fetch("/x", method="POST", body="a=1", headers=PAGE)
    assert posted.code == 401
    page = await ann.site.fetch("/x?next=/y&b=2", headers=PAGE)
    if page.code != 200:
        page = await ann.site.fetch(f"{ann.site.proxy.url}{page.headers['Location']}", headers=PAGE)
    assert page.code == 200
    assert b"/x?next=/y&amp;b=2" in page.body
    assert ann.site.seen == []


# S100
async def test_the_way_back_after_signing_in_never_leads_elsewhere(deploy: Deploy) -> None:
    ann = await deploy()
    for path in ("//evil.example/", "/\\evil.example", "/%2f/evil.example", "/%5cevil.example"):
        answer = await ann.site.raw("GET", path, PAGE)
        assert answer.split()[1] == "200"
        assert "/auth/login/local" in answer
        assert "evil" not in answer


# S129
async def test_nobody_asks_the_question_from_outside(deploy: Deploy) -> None:
    ann = await deploy()
    for path in (
        "/auth/verify",
        "/auth/%76erify",
        "/auth//verify",
        "/auth/./verify",
        "/x/../auth/verify",
    ):
        answer = await ann.site.raw("GET", path, ann.cookie)
        assert (path, answer.split()[1]) == (path, "404")


# S130
async def test_a_body_reaches_the_application_and_not_the_service(deploy: Deploy) -> None:
    ann = await deploy()
    body = b"x" * 900_000
    headers = ann.cookie | {"Content-Type": "application/json", "Content-Encoding": "br"}
    answer = await ann.site.fetch("/x", method="PUT", body=body, headers=headers)
    assert answer.code == 200
    assert json.loads(answer.body)["size"] == len(body)
    too_long = await ann.site.fetch("/auth/update", method="POST", body=body, headers=ann.cookie)
    assert too_long.code == 413


async def test_a_conditional_request_is_the_applications_business(deploy: Deploy) -> None:
    ann = await deploy()
    headers = ann.cookie | {"If-None-Match": "*", "Range": "bytes=0-1", "Expect": ""}
    assert (await ann.site.fetch("/x", headers=headers)).code in (200, 206, 304)
    assert len(ann.site.seen) == 1


async def test_a_connection_becomes_nothing_but_a_web_socket(deploy: Deploy) -> None:
    ann = await deploy()
    headers = {"Connection": "close, Upgrade, HTTP2-Settings", "Upgrade": "h2c"} | ann.cookie
    assert (await ann.site.raw("GET", "/x", headers)).split()[1] == "200"
    assert "Upgrade" not in ann.site.seen[0].headers
    assert "Connection" not in ann.site.seen[0].headers


async def test_every_route_of_the_service_is_reached(deploy: Deploy) -> None:
    ann = await deploy()
    not_there = ("/", "/auth/?", "/auth/verify")
    paths = {pattern for pattern, *_ in ROUTES if not pattern.startswith("/admin/")}
    for pattern in sorted(paths.difference(not_there)):
        path = pattern.partition("(")[0].replace("\\", "")
        answer = await ann.site.fetch(path)
        assert answer.code < 500
        assert "Content-Security-Policy" in answer.headers, f"{path} is not answered by the service"
    assert ann.site.seen == []


# S149
async def test_no_token_stands_in_a_log_of_nginx(deploy: Deploy, make_site: MakeSite) -> None:
    ann = await deploy()
    secret = {"Referer": f"https://localhost/?jwt={ann.token}"}
    query = f"?jwt={ann.token}&code={ann.token}"
    for path in (f"/x{query}", f"/auth/check{query}", f"/auth/nowhere{query}"):
        await ann.site.fetch(path, headers=secret | ann.cookie)
    plain = await ann.site.fetch(f"http://localhost:{ann.site.proxy.plain_port}/x{query}")
    assert plain.code == 301
    await ann.service.stop()
    assert (await ann.site.fetch(f"/auth/check{query}", headers=secret)).code == 502
    logs = ann.site.proxy.logs
    assert logs.count(" /auth/check HTTP/1.1 ") == 2
    assert ann.token not in logs
    assert "jwt=" not in logs
