"""`tornado-auth sessions` and `identities`: with what, and where, users are signed in."""

import pytest

from tests.cli.conftest import CLI, InStore, Told
from tornado_auth.logins import Visitor
from tornado_auth.models import AssertedIdentity, Session
from tornado_auth.server import AuthServer

ASSERTED = AssertedIdentity(provider="github", subject="1", username="ann", email="a@example.org")


async def sign_in(server: AuthServer) -> Session:
    return await server.logins.sign_in(ASSERTED, Visitor(user_agent="Browser", remote_ip="::1"))


@pytest.fixture
def session(in_store: InStore) -> Session:
    session: Session = in_store(sign_in)
    return session


class TestSessions:
    def test_they_are_listed(self, cli: CLI, told: Told, session: Session) -> None:
        line = cli("sessions", "list", "ann").output
        assert line.startswith(f"{session.id}  github:1  ::1  Browser  2")
        (shown,) = told("sessions", "list", session.user_id)
        assert (shown["id"], shown["user_agent"]) == (session.id, "Browser")

    def test_one_is_ended(self, cli: CLI, told: Told, in_store: InStore, session: Session) -> None:
        in_store(sign_in)
        assert cli("sessions", "end", session.id, "--yes").exit_code == 0
        (left,) = told("sessions", "list", "ann")
        assert left["id"] != session.id
        again = cli("sessions", "end", session.id, "--yes")
        assert (again.exit_code, again.stderr) == (1, "There is no such session.\n")

    def test_all_are_ended_and_keys_stay(self, cli: CLI, told: Told, session: Session) -> None:
        cli("api-keys", "create", "ann", "--name", "x", "--scope", "*")
        assert told("sessions", "end-all", "ann", "--yes") == {"ended": 1}
        assert cli("sessions", "end-all", "ann", "--yes").output == "0 sessions of ann are over.\n"
        assert told("sessions", "list", "ann") == []
        assert len(told("api-keys", "list", "ann")) == 1

    def test_an_api_key_is_no_session(self, cli: CLI, told: Told, session: Session) -> None:
        cli("api-keys", "create", "ann", "--name", "x", "--scope", "*")
        (key,) = told("api-keys", "list", "ann")
        assert cli("sessions", "end", key["id"], "--yes").exit_code == 1
        assert len(told("sessions", "list", "ann")) == 1


class TestIdentities:
    def test_one_is_linked_and_signs_in(self, cli: CLI, in_store: InStore, ann: str) -> None:
        assert cli("identities", "link", "ann", "github", "1").output == (
            "github:1 signs in as ann.\n"
        )
        assert in_store(sign_in).user_id == ann
        assert cli("identities", "list", "ann").output.startswith("github:1  a@example.org  2")

    def test_one_of_another_user_is_not_linked(
        self, cli: CLI, in_store: InStore, session: Session
    ) -> None:
        in_store(lambda server: server.accounts.create("bob"))
        result = cli("identities", "link", "bob", "github", "1")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "belongs to another" in result.stderr

    def test_an_unlinked_one_no_longer_signs_in_and_its_sessions_end(
        self, cli: CLI, told: Told, in_store: InStore, session: Session
    ) -> None:
        in_store(lambda server: server.accounts.link(
            session.user_id, AssertedIdentity(provider="google", subject="2")
        ))  # fmt: skip
        assert len(told("identities", "list", "ann")) == 2
        assert told("identities", "unlink", "ann", "github:1", "--yes") == {"unlinked": "github:1"}
        assert [identity["id"] for identity in told("identities", "list", "ann")] == ["google:2"]
        assert told("sessions", "list", "ann") == []
        assert in_store(sign_in).user_id != session.user_id
        assert cli("identities", "unlink", "ann", "github:1", "--yes").exit_code == 1
