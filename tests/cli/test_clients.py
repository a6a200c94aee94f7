"""`tornado-auth clients`, `users claims` and `applications`."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import CLI, InStore, Told
from tornado_auth.digests import digest
from tornado_auth.models import Client, Consent
from tornado_auth.oauth2.grants import consent_id
from tornado_auth.server import AuthServer

CALLBACK = "https://wiki.example/callback"
ADD = ("clients", "add", "The wiki", "--redirect-uri", CALLBACK)


def stored(in_store: InStore, client_id: str) -> Client:
    async def read(server: AuthServer) -> Client | None:
        return await server.storage.clients.get(client_id)

    client = in_store(read)
    assert isinstance(client, Client)
    return client


def everything(in_store: InStore) -> str:
    async def read(server: AuthServer) -> str:
        kinds = ("clients", "audit_events", "initial_access_tokens")
        return "".join([repr(await getattr(server.storage, kind).find()) for kind in kinds])

    return str(in_store(read))


# S030
def test_a_secret_is_printed_once_and_only_its_digest_is_kept(
    cli: CLI, told: Told, in_store: InStore
) -> None:
    result = cli(*ADD)
    client_id, secret = result.stdout.split()
    assert (result.exit_code, result.stderr) == (0, "It is not shown again.\n")
    assert secret.startswith("tcs_")
    assert len(secret) == len("tcs_") + 43  # 256 bits
    assert stored(in_store, client_id).secret_digests == (digest(secret),)
    assert secret not in everything(in_store)
    shown = told("clients", "show", client_id)
    assert shown["client_id"] == client_id
    assert shown["client_name"] == "The wiki"
    assert shown["redirect_uris"] == [CALLBACK]
    assert shown["secrets"] == 1
    outputs = [
        cli("clients", *command, *options).output
        for command in (("list",), ("show", client_id), ("update", client_id, "--trusted"))
        for options in ((), ("--json",))
    ]
    outputs.append(cli("audit").output)
    for kept in (secret, digest(secret)):
        assert not any(kept in output for output in outputs)


# S030
def test_a_secret_is_replaced_at_once_or_step_by_step(
    cli: CLI, told: Told, in_store: InStore
) -> None:
    first = told(*ADD)
    client_id, rotate = first["client_id"], ("clients", "rotate-secret", first["client_id"])
    result = cli(*rotate, "--keep-old")
    second = result.stdout.strip()
    digests = (digest(second), digest(first["client_secret"]))
    assert stored(in_store, client_id).secret_digests == digests
    third = told(*rotate, "--yes")
    assert third["secrets"] == 1
    assert stored(in_store, client_id).secret_digests == (digest(third["client_secret"]),)
    assert len({first["client_secret"], second, third["client_secret"]}) == 3
    public = told(*ADD, "--auth-method", "none")
    assert public["client_secret"] is None
    assert cli("clients", "rotate-secret", public["client_id"], "--yes").exit_code == 1


def test_a_client_is_all_that_the_options_say(told: Told, tmp_path: Path) -> None:
    keys = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": 43 * "A"}]}
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    (tmp_path / "more.json").write_text(
        '{"default_max_age": 60, "client_uri": "https://x.example"}'
    )
    made = told(
        *("clients", "add", "App", "--redirect-uri", "http://127.0.0.1/cb"),
        *("--redirect-uri", "com.example.app:/cb", "--native", "--scope", "openid profile"),
        *("--scope", "offline_access", "--grant-type", "authorization_code"),
        *("--grant-type", "refresh_token", "--auth-method", "private_key_jwt"),
        *("--jwks", str(tmp_path / "keys.json"), "--trusted", "--no-pkce", "--opaque"),
        *("--access-token-lifetime", "60", "--refresh-token-lifetime", "3600"),
        *("--resource", "https://api.example/", "--audience", "https://api.example/"),
        *("--exchange", "c-other", "--dpop", "--par", "--endpoint-audience"),
        *("--post-logout-redirect-uri", "https://app.example/bye"),
        *("--backchannel-logout-uri", "https://app.example/logout"),
        *("--client-uri", "https://app.example", "--logo-uri", "https://app.example/logo"),
        *("--policy-uri", "https://app.example/p", "--tos-uri", "https://app.example/t"),
        *("--contact", "ops@app.example", "--file", str(tmp_path / "more.json")),
    )
    assert made.pop("client_id").startswith("c-")
    assert made.pop("created_at") > 0
    assert made == {
        "client_name": "App",
        "client_uri": "https://app.example",
        "logo_uri": "https://app.example/logo",
        "policy_uri": "https://app.example/p",
        "tos_uri": "https://app.example/t",
        "contacts": ["ops@app.example"],
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/cb", "com.example.app:/cb"],
        "post_logout_redirect_uris": ["https://app.example/bye"],
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid profile offline_access",
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": keys,
        "jwks_uri": "",
        "id_token_signed_response_alg": "",
        "default_max_age": 60,
        "require_auth_time": False,
        "default_acr_values": [],
        "backchannel_logout_uri": "https://app.example/logout",
        "backchannel_logout_session_required": False,
        "require_pushed_authorization_requests": True,
        "dpop_bound_access_tokens": True,
        "require_pkce": False,
        "is_trusted": True,
        "takes_endpoint_audience": True,
        "access_token_format": "opaque",
        "access_token_lifetime": 60,
        "refresh_token_lifetime": 3600,
        "resources": ["https://api.example/"],
        "audiences": ["https://api.example/"],
        "exchanges": ["c-other"],
        "is_self_registered": False,
        "disabled_at": None,
        "secrets": 0,
        "client_secret": None,
    }


def test_an_update_changes_what_it_says_and_nothing_else(
    cli: CLI, told: Told, in_store: InStore
) -> None:
    made = told(*ADD, "--scope", "openid", "--trusted", "--access-token-lifetime", "60")
    update = ("clients", "update", made["client_id"])
    before = stored(in_store, made["client_id"])
    changed = told(*update, "--name", "Wiki", "--opaque", "--client-uri", "https://wiki.example")
    expected = {
        **{name: value for name, value in made.items() if name != "client_secret"},
        "client_name": "Wiki",
        "access_token_format": "opaque",
        "client_uri": "https://wiki.example",
    }
    assert changed == expected
    taken = told(
        *(*update, "--not-trusted", "--client-uri", "", "--access-token-lifetime", "0"),
        *("--scope", "", "--grant-type", "client_credentials", "--redirect-uri", ""),
    )
    assert (taken["is_trusted"], taken["client_uri"], taken["access_token_lifetime"]) == (
        False,
        "",
        None,
    )
    assert (taken["scope"], taken["redirect_uris"]) == ("", [])
    after = stored(in_store, made["client_id"])
    assert after.secret_digests == before.secret_digests
    assert cli(*update).exit_code == 2


def test_what_cannot_be_is_refused_with_the_reason(
    cli: CLI, told: Told, in_store: InStore, tmp_path: Path
) -> None:
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "unknown.json").write_text('{"client_secret": "x"}')
    client_id = told(*ADD)["client_id"]
    before = stored(in_store, client_id)
    for status, *arguments in (
        (1, "clients", "add", "App"),
        (1, "clients", "add", "App", "--redirect-uri", "http://wiki.example/cb"),
        (1, "clients", "add", "App", "--redirect-uri", f"{CALLBACK}#x"),
        (1, *ADD, "--scope", "unheard-of"),
        (1, *ADD, "--grant-type", "password"),
        (1, *ADD, "--auth-method", "private_key_jwt"),
        (1, *ADD, "--auth-method", "none", "--no-pkce"),
        (1, *ADD, "--file", str(tmp_path / "list.json")),
        (1, *ADD, "--file", str(tmp_path / "unknown.json")),
        (2, *ADD, "--auth-method", "tls_client_auth"),
        (2, *ADD, "--access-token-lifetime", "-1"),
        (1, "clients", "update", client_id, "--redirect-uri", "https://"),
        (1, "clients", "update", "c-nobody", "--name", "x"),
        *((1, "clients", command, "c-nobody") for command in ("show", "disable", "enable")),
        *((1, "clients", command, "c-nobody", "--yes") for command in ("remove", "rotate-secret")),
        (2, "clients", "initial-token", "ci", "--days", "0"),
        (1, "clients", "initial-token", ""),
    ):
        result = cli(*map(str, arguments))
        assert (result.exit_code, result.stdout) == (status, ""), arguments
        assert result.stderr
    assert stored(in_store, client_id) == before
    assert len(told("clients", "list")) == 1


def test_a_client_is_disabled_enabled_and_removed(cli: CLI, told: Told, in_store: InStore) -> None:
    client_id = told(*ADD)["client_id"]
    assert told("clients", "disable", client_id)["disabled_at"] > 0
    assert cli("clients", "list").output.split("  ")[1:] == [
        "The wiki",
        "client_secret_basic",
        cli("clients", "show", client_id).output.split("created_at  ")[1][:10],
        "disabled\n",
    ]
    assert told("clients", "enable", client_id)["disabled_at"] is None
    assert told("clients", "remove", client_id, "--yes") == {"removed": client_id}
    assert told("clients", "list") == []
    actions = [event["action"] for event in reversed(told("audit")) if event["via"] == "shell"]
    assert actions == ["client_registered", "client_disabled", "client_enabled", "client_removed"]


# S030
def test_a_token_for_registration_is_printed_once(cli: CLI, told: Told, in_store: InStore) -> None:
    token = cli("clients", "initial-token", "ci").stdout.strip()
    assert token.startswith("tia_")
    assert token not in everything(in_store)
    assert digest(token) in everything(in_store)
    made = told("clients", "initial-token", "ci", "--days", "2")
    assert made["expires_in"] == 2 * 86_400
    assert made["initial_access_token"] != token


def test_claims_are_told_and_forgotten_one_by_one(cli: CLI, told: Told, ann: str) -> None:
    assert told("users", "claims", "ann") == {}
    set_some = (
        *("birthdate=1990-05-06", "given_name=Ann = x", "phone_number=+46123456"),
        *("address.country=Sverige", "address.locality=Lund", "phone_number_verified=true"),
    )
    told("users", "claims", ann, *set_some)
    known = told("users", "claims", "ann", "birthdate=", "address.country=", "gender=x")
    assert known.pop("updated_at") > 0
    assert known == {
        "given_name": "Ann = x",
        "phone_number": "+46123456",
        "phone_number_verified": True,
        "address": {"locality": "Lund"},
        "gender": "x",
    }
    # Nobody made sure of a new number.
    changed = told("users", "claims", "ann", "phone_number=+46654321", "address.locality=")
    assert changed["phone_number_verified"] is False
    assert "address" not in changed
    assert "phone_number_verified  false\n" in cli("users", "claims", "ann").output
    assert told("users", "claims", "ann", "phone_number=").keys() == {
        "given_name",
        "gender",
        "updated_at",
    }


def test_claims_come_from_a_file_as_they_are(
    cli: CLI, told: Told, ann: str, tmp_path: Path
) -> None:
    file = tmp_path / "ann.json"
    claims: dict[str, Any] = {"email": "ann@mail.example", "email_verified": True}
    file.write_text(json.dumps(claims))
    told("users", "claims", ann, "gender=x")
    known = told("users", "claims", ann, "--json-file", str(file))
    assert known.items() >= claims.items()
    assert "gender" not in known
    file.write_text("[]")
    for arguments, status in (
        (("--json-file", str(file)), 1),
        (("--json-file", "nowhere"), 2),
        (("gender",), 2),
        (("=x",), 2),
        (("sub=x",), 1),
        (("birthdate=May",), 1),
        (("email_verified=yes",), 1),
        (("groups.x=y",), 1),
    ):
        assert cli("users", "claims", ann, *arguments).exit_code == status, arguments
    assert told("users", "claims", ann) == known
    event = told("audit", "--action", "user_claims_set")[0]
    assert event["details"] == ["claims=email email_verified"]


@pytest.fixture
def connected(told: Told, in_store: InStore, ann: str) -> str:
    """Return a client that ann allowed something."""
    client_id = str(told(*ADD)["client_id"])

    async def allow(server: AuthServer) -> None:
        consent = Consent(
            id=consent_id(ann, client_id),
            user_id=ann,
            client_id=client_id,
            scope=("openid", "email"),
            created_at=5,
            confirmed_at=5,
        )
        await server.storage.consents.insert(consent)

    in_store(allow)
    return client_id


def test_an_application_of_a_user_is_listed_and_withdrawn(
    cli: CLI, told: Told, ann: str, connected: str
) -> None:
    listed = cli("applications", "list", "ann").output
    assert listed == f"{connected}  The wiki  openid,email  never\n"
    assert told("applications", "list", ann) == [
        {
            "client_id": connected,
            "client_name": "The wiki",
            "scope": "openid email",
            "confirmed_at": 5,
            "last_granted_at": None,
        }
    ]
    assert cli("applications", "withdraw", "ann", connected, "--yes").exit_code == 0
    assert told("applications", "list", "ann") == []
    assert cli("applications", "withdraw", "ann", connected, "--yes").exit_code == 1
    (event,) = told("audit", "--action", "consent_withdrawn")
    assert (event["via"], event["subject"], event["target"]) == ("shell", ann, connected)


def test_the_examples_of_the_document_work(told: Told) -> None:
    text = (Path(__file__).parents[2] / "docs" / "clients.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(# A program .*?)```", text, re.DOTALL)
    commands = [
        shlex.split(line, comments=True)[1:] for line in block.replace("\\\n", "").splitlines()
    ]
    made = [
        told(*command, TORNADO_AUTH_SCOPES='[{"name": "reports:read"}]')
        for command in commands
        if command
    ]
    assert [client["client_name"] for client in made] == [
        "Nightly export",
        "The app",
        "The television",
        "The API",
    ]
