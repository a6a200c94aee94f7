"""The shipped deploy/Caddyfile, run by a real Caddy in front of a real service."""

import json
import subprocess
from pathlib import Path

import pytest
from tornado.web import Application, RequestHandler

from tests.caddy import command, environ, write_configuration
from tests.deploy.site import PAGE, SPOOFED, Deploy, MakeSite
from tests.nginx import EVERYBODY, Policy
from tests.ports import free_port


def test_caddy_takes_the_shipped_file_without_a_warning(tmp_path: Path) -> None:
    path = write_configuration(
        tmp_path,
        service="127.0.0.1:8080",
        application="127.0.0.1:8000",
        port=free_port(),
        policy=EVERYBODY,
    )
    tried = subprocess.run(
        command("validate", path),
        env=environ(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert tried.returncode == 0, tried.stderr
    assert "Valid configuration" in tried.stdout + tried.stderr
    assert '"warn"' not in tried.stderr


# S126 S129
async def test_identity_headers_from_a_client_never_arrive(deploy_caddy: Deploy) -> None:
    ann = await deploy_caddy()
    spoofed = {name: f"spoofed-{number}" for number, name in enumerate(SPOOFED)}
    answer = await ann.site.fetch("/x", headers=spoofed | ann.cookie)
    assert answer.code == 200
    assert b"spoofed" not in answer.body
    arrived = json.loads(answer.body)["headers"]
    assert arrived["X-Auth-User"] == ann.user_id
    assert arrived["X-Forwarded-For"] == "127.0.0.1"
    assert arrived["X-Forwarded-Proto"] == "https"
    assert not {"Remote-User", "X-Forwarded-User"} & arrived.keys()
    assert not arrived.get("X-Auth-Permissions")


# S126
async def test_the_query_of_a_visitor_is_no_part_of_the_question(
    deploy_caddy: Deploy, reports_service: str
) -> None:
    ann = await deploy_caddy(ALLOWED_SERVICES=reports_service)
    assert (await ann.site.fetch(f"/x?jwt={ann.token}")).code == 401
    answer = await ann.site.fetch("/x?service=reports&jwt=x", headers=ann.cookie)
    assert not json.loads(answer.body)["headers"].get("X-Auth-Permissions")


# S127
@pytest.mark.parametrize("status", [302, 304, 400, 404, 405, 429, 500, 502, 503])
async def test_only_200_of_the_service_lets_a_request_pass(
    make_caddy_site: MakeSite, status: int
) -> None:
    class Verify(RequestHandler):
        def get(self) -> None:
            self.set_header("Location", "/")
            self.set_status(status)
            self.finish()

    site = make_caddy_site(Application([(r"/auth/verify", Verify)]))
    answer = await site.fetch("/x", headers=PAGE)
    assert (answer.code, site.seen) == (status, [])


# S127
async def test_nobody_passes_while_the_service_is_away(make_caddy_site: MakeSite) -> None:
    site = make_caddy_site(free_port())
    assert (await site.fetch("/x", headers=PAGE)).code == 502
    assert (await site.fetch("/auth/check")).code == 502
    assert site.seen == []


async def test_a_store_that_is_away_is_a_503_and_no_refusal(make_caddy_site: MakeSite) -> None:
    class Verify(RequestHandler):
        def get(self) -> None:
            self.set_status(403)
            self.set_header("X-Auth-Reason", self.get_argument("service"))
            self.finish()

    site = make_caddy_site(
        Application([(r"/auth/verify", Verify)]), policy=Policy(service="storage_unavailable")
    )
    answer = await site.fetch("/x")
    assert (answer.code, answer.headers["Retry-After"], site.seen) == (503, "1", [])


# S127
async def test_a_program_gets_401_and_a_person_the_sign_in_page(deploy_caddy: Deploy) -> None:
    ann = await deploy_caddy()
    for headers, method in (({}, "GET"), ({}, "POST"), (PAGE, "POST")):
        body = "a=1" if method == "POST" else None
        answer = await ann.site.fetch("/x?a=1&b=2", headers=headers, method=method, body=body)
        assert answer.code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.headers["Content-Type"] == "application/json"
        assert json.loads(answer.body) == {"error": "login_required"}
    page = await ann.site.fetch("/x?next=/y&b=2", headers=PAGE)
    assert page.code == 200
    assert b"/x?next=/y&amp;b=2" in page.body
    assert ann.site.seen == []


# S100
async def test_the_way_back_after_signing_in_never_leads_elsewhere(deploy_caddy: Deploy) -> None:
    ann = await deploy_caddy()
    for path in ("//evil.example/", "/\\evil.example", "/%2f/evil.example", "/%5cevil.example"):
        answer = await ann.site.raw("GET", path, PAGE)
        assert answer.split()[1] == "200", path
        assert "/auth/login/local" in answer
        assert "evil" not in answer


# S129
async def test_nobody_asks_the_question_from_outside(deploy_caddy: Deploy) -> None:
    ann = await deploy_caddy()
    for path in (
        "/auth/verify",
        "/Auth/Verify",
        "/auth/%76erify",
        "/auth//verify",
        "/auth/./verify",
        "/x/../auth/verify",
    ):
        answer = await ann.site.raw("GET", path, ann.cookie)
        assert (path, answer.split()[1], "X-Auth-User" in answer) == (path, "404", False)


# S130
async def test_a_body_reaches_the_application_and_not_the_service(deploy_caddy: Deploy) -> None:
    ann = await deploy_caddy()
    body = b"x" * 900_000
    headers = ann.cookie | {"Content-Type": "application/json", "Content-Encoding": "br"}
    answer = await ann.site.fetch("/x", method="PUT", body=body, headers=headers)
    assert answer.code == 200
    assert json.loads(answer.body)["size"] == len(body)
    too_long = await ann.site.fetch("/auth/update", method="POST", body=body, headers=ann.cookie)
    # The service reads no more of it, and Caddy may see that before it sees the answer.
    assert too_long.code in (400, 413, 502)


# S149
async def test_no_token_stands_in_the_log_of_caddy(deploy_caddy: Deploy) -> None:
    ann = await deploy_caddy()
    secret = {"Referer": f"https://localhost/?jwt={ann.token}", "auth-token": ann.token}
    query = f"?jwt={ann.token}&code={ann.token}"
    await ann.service.stop()
    for path in (f"/x{query}", f"/auth/check{query}"):
        assert (await ann.site.fetch(path, headers=secret | ann.cookie)).code == 502
    assert "/auth/check" in ann.site.proxy.logs
    assert ann.token not in ann.site.proxy.logs
    assert "jwt=" not in ann.site.proxy.logs
