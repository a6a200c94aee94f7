"""`tornado-auth users`: the people in the store, as an operator sees them."""

import sys
from typing import Any

import pytest

from tests.cli.conftest import CLI, InStore
from tests.flows.processes import MakeCluster
from tornado_auth.errors import WrongPassword
from tornado_auth.models import AssertedIdentity, User
from tornado_auth.server import AuthServer

PASSWORD = "correct horse battery"


async def find(server: AuthServer, username: str) -> User:
    user = await server.accounts.find_by_username(username)
    assert user is not None
    return user


def can_sign_in(in_store: InStore, username: str, password: str) -> bool:
    async def authenticate(server: AuthServer) -> bool:
        try:
            await server.local_accounts.authenticate(username, password)
        except WrongPassword:
            return False
        return True

    return bool(in_store(authenticate))


class TestAdd:
    def test_somebody_is_added_who_can_sign_in(self, cli: CLI, in_store: InStore) -> None:
        result = cli("users", "add", "Ann", "--name", "Ann Smith", "--password-stdin",
                     input=f"{PASSWORD}\n")  # fmt: skip
        user = in_store(lambda server: find(server, "ann"))
        assert (result.exit_code, result.output) == (0, f"Added ann ({user.id}).\n")
        assert (user.username, user.name, user.username_chosen) == ("ann", "Ann Smith", True)
        assert can_sign_in(in_store, "ann", PASSWORD)
        assert not can_sign_in(in_store, "ann", PASSWORD.upper())

    def test_the_password_is_asked_for_twice_and_not_shown(
        self, cli: CLI, in_store: InStore
    ) -> None:
        result = cli("users", "add", "ann", input=f"{PASSWORD}\n{PASSWORD}\n")
        assert result.exit_code == 0
        assert result.stderr.startswith("Password: \nRepeat for confirmation: \n")
        assert PASSWORD not in result.output
        assert can_sign_in(in_store, "ann", PASSWORD)

    def test_two_different_passwords_add_nobody(self, cli: CLI, in_store: InStore) -> None:
        result = cli("users", "add", "ann", input=f"{PASSWORD}\nsomething else\n")
        assert result.exit_code == 1
        assert "do not match" in result.output
        assert in_store(lambda server: server.storage.users.find()) == []

    @pytest.mark.parametrize("password", ["", "1234567", "x" * 1025])
    def test_a_bad_password_adds_nobody(self, cli: CLI, in_store: InStore, password: str) -> None:
        result = cli("users", "add", "ann", "--password-stdin", input=f"{password}\n")
        assert result.exit_code == 1
        assert result.stderr == "A password has 8 to 1024 characters.\n"
        assert in_store(lambda server: server.storage.users.find()) == []

    # S146
    @pytest.mark.parametrize("name", ["ann", "ANN", "\uff41nn", "\u0430nn"])
    def test_a_taken_name_is_refused(self, cli: CLI, in_store: InStore, name: str) -> None:
        for username in ("ann", name):
            result = cli("users", "add", username, "--password-stdin", input=f"{PASSWORD}\n")
        assert result.exit_code == 1
        assert "is taken" in result.stderr
        assert result.stderr.count("\n") == 1
        assert len(in_store(lambda server: server.storage.users.find())) == 1

    # S147
    def test_a_name_that_nobody_may_have_is_refused(self, cli: CLI) -> None:
        for name in ("a@b", "ab", "admin"):
            result = cli("users", "add", name, "--password-stdin", input=f"{PASSWORD}\n")
            assert result.exit_code == 1, name
            assert result.stderr.count("\n") == 1


class TestPassword:
    def test_a_new_one_replaces_the_old_and_ends_all_sessions(
        self, cli: CLI, in_store: InStore
    ) -> None:
        cli("users", "add", "ann", "--password-stdin", input=f"{PASSWORD}\n")

        async def start_sessions(server: AuthServer) -> str:
            asserted = await server.local_accounts.authenticate("ann", PASSWORD)
            signed_in = await server.accounts.sign_in(asserted)
            for _ in range(3):
                await server.sessions.start(signed_in.identity)
            return signed_in.user.id

        user_id = in_store(start_sessions)
        result = cli("users", "password", "ANN", "--password-stdin", input="another password\n")
        assert result.exit_code == 0, result.output
        assert can_sign_in(in_store, "ann", "another password")
        assert not can_sign_in(in_store, "ann", PASSWORD)
        assert in_store(lambda server: server.sessions.of_user(user_id)) == []

    def test_one_that_is_too_short_changes_nothing(self, cli: CLI, in_store: InStore) -> None:
        cli("users", "add", "ann", "--password-stdin", input=f"{PASSWORD}\n")
        result = cli("users", "password", "ann", "--password-stdin", input="short\n")
        assert (result.exit_code, result.stderr) == (1, "A password has 8 to 1024 characters.\n")
        assert can_sign_in(in_store, "ann", PASSWORD)


class TestList:
    def test_everybody_has_a_line(self, cli: CLI, in_store: InStore) -> None:
        for name in ("ann", "bob"):
            cli("users", "add", name, "--password-stdin", input=f"{PASSWORD}\n")
        cli("users", "disable", "bob")
        lines = [line.split() for line in cli("users", "list").output.splitlines()]
        by_name = {words[1]: words for words in lines}
        assert sorted(by_name) == ["ann", "bob"]
        assert by_name["ann"][0] == in_store(lambda server: find(server, "ann")).id
        assert by_name["ann"][2] == "-"
        assert (by_name["ann"][-1], by_name["bob"][-1]) == ("enabled", "disabled")

    def test_there_may_be_more_than_a_page_of_them(
        self, cli: CLI, in_store: InStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys.modules["tornado_auth.cli.administering"], "PAGE", 2)

        async def create(server: AuthServer) -> None:
            for number in range(5):
                await server.accounts.create(f"person{number}", email=f"p{number}@example.org")

        in_store(create)
        lines = [line.split() for line in cli("users", "list").output.splitlines()]
        assert sorted(words[1] for words in lines) == [f"person{number}" for number in range(5)]
        assert sorted(words[2] for words in lines)[0] == "p0@example.org"

    def test_an_empty_store_has_no_lines(self, cli: CLI) -> None:
        result = cli("users", "list")
        assert (result.exit_code, result.output) == (0, "")

    # S145
    def test_an_address_cannot_write_on_the_terminal(self, cli: CLI, in_store: InStore) -> None:
        asserted = AssertedIdentity(
            provider="github", subject="1", username="ann", email="a\x1b[2J\n@example.org"
        )
        in_store(lambda server: server.accounts.sign_in(asserted))
        output = cli("users", "list").output
        assert output.count("\n") == 1
        assert "a?[2J?@example.org" in output


class TestDisable:
    # S125
    def test_somebody_is_kept_out_and_let_in_again(self, cli: CLI, in_store: InStore) -> None:
        async def start(server: AuthServer) -> str:
            asserted = AssertedIdentity(provider="github", subject="1", username="ann")
            signed_in = await server.accounts.sign_in(asserted)
            await server.sessions.start(signed_in.identity)
            return signed_in.user.id

        user_id = in_store(start)
        assert cli("users", "disable", "ann").output == "ann is disabled.\n"
        assert in_store(lambda server: find(server, "ann")).disabled_at is not None
        assert in_store(lambda server: server.sessions.of_user(user_id)) == []
        assert cli("users", "enable", "ann").output == "ann is enabled.\n"
        assert in_store(lambda server: find(server, "ann")).disabled_at is None


class TestDelete:
    @pytest.fixture
    def ann(self, cli: CLI, in_store: InStore) -> str:
        """The id of somebody with a password, another way to sign in, and a session."""
        cli("users", "add", "ann", "--password-stdin", input=f"{PASSWORD}\n")

        async def sign_in(server: AuthServer) -> str:
            user = await find(server, "ann")
            asserted = AssertedIdentity(provider="github", subject="1", username="ann")
            linked, _ = await server.accounts.link(user.id, asserted)
            await server.sessions.start(linked)
            return user.id

        user_id: str = in_store(sign_in)
        return user_id

    @staticmethod
    async def all_of(user_id: str, server: AuthServer) -> list[Any]:
        store = server.storage
        return [
            await store.users.get(user_id),
            await store.passwords.get(user_id),
            await store.identities.find(user_id=user_id),
            await store.sessions.find(user_id=user_id),
        ]

    @pytest.mark.parametrize(("options", "input"), [(["--yes"], None), ([], "y\n")])
    def test_nothing_is_left_but_the_name(
        self, cli: CLI, in_store: InStore, ann: str, options: list[str], input: str | None
    ) -> None:
        result = cli("users", "delete", "ANN", *options, input=input)
        assert result.exit_code == 0, result.output
        assert result.stdout == "ann is deleted.\n"
        assert ("Delete ANN for good? [y/N]" in result.stderr) is (input is not None)
        assert in_store(lambda server: self.all_of(ann, server)) == [None, None, [], []]
        again = cli("users", "add", "ann", "--password-stdin", input=f"{PASSWORD}\n")
        assert (again.exit_code, "is taken" in again.stderr) == (1, True)
        assert cli("users", "delete", "ann", "--yes").exit_code == 1

    @pytest.mark.parametrize("answer", ["n\n", "\n", ""])
    def test_who_does_not_say_yes_deletes_nothing(
        self, cli: CLI, in_store: InStore, ann: str, answer: str
    ) -> None:
        assert cli("users", "delete", "ann", input=answer).exit_code == 1
        assert all(in_store(lambda server: self.all_of(ann, server)))
        assert can_sign_in(in_store, "ann", PASSWORD)


OPTIONS = {"password": ["--password-stdin"], "delete": ["--yes"]}


@pytest.mark.parametrize("subcommand", ["password", "disable", "enable", "delete"])
def test_somebody_unknown_is_told_in_a_sentence(cli: CLI, subcommand: str) -> None:
    options = OPTIONS.get(subcommand, [])
    result = cli("users", subcommand, "nobody", *options, input=f"{PASSWORD}\n")
    assert (result.exit_code, result.stderr) == (1, "There is no user 'nobody'.\n")


BROKEN = {
    "DATABASE_URL": "mongodb://user:sesame@127.0.0.1:1/auth",
    "TORNADO_AUTH_STORAGE_TIMEOUT": "0.2",
}


def is_clear(errors: str) -> bool:
    return (
        errors.startswith("DATABASE_URL: the store does not answer: MongoDB: ")
        and errors.count("\n") == 1
        and "sesame" not in errors
    )


# S140
def test_a_store_that_does_not_answer_is_told_in_a_sentence(cli: CLI) -> None:
    for arguments, input in (
        (("add", "ann", "--password-stdin"), f"{PASSWORD}\n"),
        (("list",), ""),
        (("disable", "ann"), ""),
    ):
        result = cli("users", *arguments, input=input, **BROKEN)
        assert (result.exit_code, result.stdout) == (1, "")
        assert is_clear(result.stderr), result.stderr


# S140
def test_so_it_is_by_the_real_program(cluster: MakeCluster) -> None:
    result = cluster(**BROKEN).run("users", "list")
    assert (result.returncode, result.stdout) == (1, "")
    assert is_clear(result.stderr), result.stderr


def test_a_store_that_cannot_be_is_told_like_any_setting(cli: CLI, tmp_path: Any) -> None:
    result = cli("users", "list", DATABASE_URL=f"sqlite:///{tmp_path}/nowhere/store.db")
    assert result.exit_code == 2
    assert "DATABASE_URL" in result.stderr


def test_bad_settings_are_told_before_anything_is_done(cli: CLI) -> None:
    result = cli("users", "list", TORNADO_AUTH_SECRET="short")
    assert result.exit_code == 2
    assert "TORNADO_AUTH_SECRET" in result.stderr
