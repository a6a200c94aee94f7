"""Settings as a whole: what is required, how mistakes are reported, and what is never shown."""

import json
import re
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.setting_samples import (
    ISSUER,
    OTHER_SECRET,
    PRIVATE,
    PUBLIC,
    REQUIRED,
    SECRET,
    load,
    problem,
    problems,
    value_of,
)
from tornado_auth.errors import SettingsError
from tornado_auth.settings import Settings, load_settings

DOCS = Path(__file__).parent.parent / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class TestDefaults:
    def test_a_key_and_a_secret_are_enough(self):
        settings = load()
        assert settings.private_key == PRIVATE
        assert settings.secret == (SECRET,)
        assert settings.listen == "127.0.0.1:8080"
        assert settings.database_url == "sqlite:///tornado_auth.db"
        assert settings.session_lifetime == settings.session_idle_limit == 14 * 86400
        assert settings.local_accounts is True
        assert settings.public_profiles is False
        assert settings.dev is False

    # S103 D28
    def test_nobody_but_local_accounts_can_sign_in_by_default(self):
        settings = load()
        assert not settings.google_key
        assert not settings.github_key
        assert not settings.oidc_providers
        assert not settings.dev

    def test_settings_do_not_change(self):
        with pytest.raises(ValidationError):
            load().listen = "0.0.0.0:80"  # type: ignore[misc]

    def test_every_field_describes_itself(self):
        described = Settings.describe()
        assert {each.field for each in described} == set(Settings.model_fields) - {"dev"}
        assert all(each.help.endswith(".") for each in described)

    # D29
    def test_nothing_is_read_at_import(self):
        code = (
            "import os, sys\n"
            "class Environ(dict):\n"
            "    def get(self, name, default=None):\n"
            "        assert 'KEY' not in name and 'TORNADO_AUTH' not in name, name\n"
            "        return super().get(name, default)\n"
            "    __getitem__ = get\n"
            "os.environ = Environ(os.environ)\n"
            "import tornado_auth.settings\n"
        )
        subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=DOCS.parents[1])

    def test_only_the_given_environment_counts(self, monkeypatch):
        monkeypatch.setenv("TORNADO_AUTH_LISTEN", "0.0.0.0:1")
        monkeypatch.setenv("LISTEN", "0.0.0.0:2")
        monkeypatch.setenv("GOOGLE_KEY", "g")
        monkeypatch.setenv("DEV", "1")
        assert load() == load_settings(dict(REQUIRED))
        assert load().listen == "127.0.0.1:8080"
        assert load().google_key == ""
        assert load().dev is False


class TestRequired:
    # D29 D34
    def test_without_a_private_key_there_is_no_start(self):
        text = problem({"PRIVATE_KEY": ""})
        assert text.startswith("PRIVATE_KEY: missing.")
        assert "tornado-auth keys generate" in text
        assert "scripts/generate_key_pair" in text

    # D29 D30 D34
    def test_an_empty_environment_lists_all_that_is_required(self):
        with pytest.raises(SettingsError) as caught:
            load_settings({"TORNADO_AUTH_LISTEN": "0.0.0.0:80"})
        names = [text.partition(":")[0] for text in caught.value.problems]
        assert names == ["PRIVATE_KEY", "TORNADO_AUTH_SECRET", "EXTERNAL_ADDRESS"]

    # D30
    @pytest.mark.parametrize(
        ("secret", "why"),
        [
            ("-", "shorter than 32"),
            ("secret", "shorter than 32"),
            (SECRET[:31], "shorter than 32"),
            ("-" * 40, "default or easily guessed"),
            ("changeme" * 5, "default or easily guessed"),
            ("please-change-me-before-you-start", "default or easily guessed"),
            ("0123456789" * 4, "default or easily guessed"),
            ("qwErtzuiopasdfghqwErtzuiopasdfgh", "default or easily guessed"),
            ("aabbccddeeffgabcdefgfedcbabcdefga", "default or easily guessed"),
            ("my-super-Secret-value-for-the-key!", "default or easily guessed"),
            (f"{SECRET} short", "entry 2 is shorter than 32"),
        ],
    )
    def test_a_short_or_well_known_secret_is_refused(self, secret, why):
        text = problem({"TORNADO_AUTH_SECRET": secret})
        assert text.startswith("TORNADO_AUTH_SECRET: entry ")
        assert why in text
        assert "token_urlsafe(32)" in text

    # D30
    def test_secrets_rotate(self):
        assert load({"TORNADO_AUTH_SECRET": f"{OTHER_SECRET}\n{SECRET}"}).secret == (
            OTHER_SECRET,
            SECRET,
        )

    # D30
    def test_a_secret_of_hexadecimal_digits_is_good(self):
        secret = "9f86d081884c7d659a2feaa0c55ad015"
        assert load({"TORNADO_AUTH_SECRET": secret}).secret == (secret,)


class TestKeys:
    def test_line_breaks_may_be_written_as_backslash_n(self):
        assert load({"PRIVATE_KEY": PRIVATE.replace("\n", "\\n")}).private_key == PRIVATE

    @pytest.mark.parametrize(
        ("variable", "text", "why"),
        [
            ("PRIVATE_KEY", "/run/secrets/key.pem", "set PRIVATE_KEY_FILE"),
            ("PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----", "is not PEM"),
            ("PRIVATE_KEY", PUBLIC, "is not a private key"),
            ("PRIVATE_KEY", PRIVATE.replace("PRIVATE", "ENCRYPTED PRIVATE"), "passphrase"),
            ("PUBLIC_KEY", PRIVATE, "holds a private key"),
            ("PUBLIC_KEY", "MIIB", "set PUBLIC_KEY_FILE"),
            ("TORNADO_AUTH_VERIFICATION_KEYS", PUBLIC + PRIVATE, "holds a private key"),
        ],
    )
    def test_text_that_is_no_such_key_is_refused(self, variable, text, why):
        message = problem({variable: text})
        assert message.startswith(f"{variable}: ")
        assert why in message

    def test_public_keys_may_follow_one_another(self):
        assert value_of("TORNADO_AUTH_VERIFICATION_KEYS", PUBLIC + PUBLIC) == PUBLIC + PUBLIC


class TestDevelopmentLogin:
    # S103 D28
    @pytest.mark.parametrize("listen", ["127.0.0.1:8080", "127.9.9.9:1", "[::1]:80", "LOCALHOST:1"])
    def test_it_is_for_loopback(self, listen):
        assert load({"TORNADO_AUTH_LISTEN": listen}, dev=True).dev is True

    # S103 D28
    @pytest.mark.parametrize(
        "listen",
        [
            "0.0.0.0:8080",
            "[::]:8080",
            "10.0.0.1:8080",
            "[::ffff:127.0.0.1]:8080",
            "auth.example.org:8080",
            "localhost.example.org:8080",
            "127.0.0.1.example.org:8080",
            "unix:/run/auth.sock",
        ],
    )
    @pytest.mark.parametrize("variable", ["TORNADO_AUTH_LISTEN", "TORNADO_AUTH_OPS_LISTEN"])
    def test_it_refuses_any_other_address(self, variable, listen):
        environ = {variable: listen, "EXTERNAL_ADDRESS": "http://localhost:8080"}
        load(environ)
        text = problem(environ, dev=True)
        assert text.startswith(f"{variable}: is not loopback")
        assert "--dev" in text

    # S103
    def test_it_refuses_to_be_published_by_a_proxy(self):
        text = problem({"EXTERNAL_ADDRESS": "auth.example.org"}, dev=True)
        assert text.startswith("EXTERNAL_ADDRESS: is an address for others")

    def test_operators_may_go_without(self):
        assert load({"TORNADO_AUTH_OPS_LISTEN": "off"}, dev=True).dev is True


class TestReport:
    # D29
    def test_all_mistakes_are_reported_at_once(self):
        Path("tornado_auth.toml").write_text('listn = "x"\nlog_level = "LOUD"\n')
        found = problems(
            {
                "PRIVATE_KEY": "",
                "PUBLIC_KEY_FILE": "/nowhere/key",
                "TORNADO_AUTH_SECRET": "-",
                "TORNADO_AUTH_LISTEN": "nowhere",
                "TORNADO_AUTH_STALLE_LIMIT": "1",
                "TORNADO_AUTH_SESSION_LIFETIME": "soon",
                "GOOGLE_KEY": "k",
                "TORNADO_AUTH_OPS_LISTEN": "0.0.0.0:1",
                "TORNADO_AUTH_OIDC_PROVIDERS": json.dumps([ISSUER | {"name": "dev", "issuer": ""}]),
            },
        )
        assert {text.partition(":")[0] for text in found} == {
            "'listn' in tornado_auth.toml",
            "TORNADO_AUTH_LOG_LEVEL (log_level in tornado_auth.toml)",
            "PRIVATE_KEY",
            "PUBLIC_KEY_FILE",
            "TORNADO_AUTH_SECRET",
            "TORNADO_AUTH_LISTEN",
            "TORNADO_AUTH_STALLE_LIMIT",
            "TORNADO_AUTH_SESSION_LIFETIME",
            "GOOGLE_SECRET",
            "TORNADO_AUTH_OIDC_PROVIDERS",
        }
        assert len(found) == 11

    def test_one_mistake_is_reported_once(self):
        found = problems({"TORNADO_AUTH_SECRET_FILE": "/nowhere", "TORNADO_AUTH_SECRET": ""})
        assert len(found) == 1

    # S149
    @pytest.mark.parametrize("variable", [each.variable for each in Settings.describe()])
    def test_a_wrong_value_is_never_shown(self, variable):
        wrong = f"=hidden={SECRET}://hidden:hidden@ \x07"
        with pytest.raises(SettingsError) as caught:
            load_settings({**REQUIRED, variable: wrong, "TORNADO_AUTH_STALE_LIMIT": "x"})
        shown = "".join(traceback.format_exception(caught.value))
        assert variable in shown
        assert "hidden=" not in shown
        assert SECRET not in shown
        assert caught.value.__context__ is None

    # S149
    def test_no_secret_is_in_repr_or_str(self):
        settings = load(
            {
                "TORNADO_AUTH_SECRET": f"{SECRET} {OTHER_SECRET}",
                "GOOGLE_KEY": "google-id",
                "GOOGLE_SECRET": "google-hidden",
                "GITHUB_KEY": "github-id",
                "GITHUB_SECRET": "github-hidden",
                "DATABASE_URL": "mongodb://user:db-hidden@db/x",
                "TORNADO_AUTH_OIDC_PROVIDERS": json.dumps([ISSUER]),
            }
        )
        for text in (repr(settings), str(settings), repr(settings.oidc_providers)):
            assert "hidden" not in text
            assert SECRET not in text
            assert OTHER_SECRET not in text
        assert "google-id" in repr(settings)
        assert settings.google_secret == "google-hidden"

    @given(
        st.dictionaries(
            st.sampled_from([each.variable for each in Settings.describe()]),
            st.text(st.characters(blacklist_categories=("Cs",)), max_size=40),
            max_size=6,
        )
    )
    def test_any_text_gives_settings_or_problems(self, variables):
        try:
            outcome = load_settings({**REQUIRED, **variables}).issuer
        except SettingsError as error:
            outcome = str(error)
        assert re.match(r"https?://|[A-Z_]+: ", outcome)


class TestDocumentation:
    def rows(self) -> dict[str, str]:
        pattern = re.compile(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? ?\| \S.* \|$", re.M)
        return dict(pattern.findall(DOCS.read_text()))

    def test_every_setting_has_its_row_with_its_default(self):
        assert self.rows() == {each.variable: each.default for each in Settings.describe()}

    def test_the_example_file_is_good(self, tmp_path):
        (example,) = re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.S)
        (tmp_path / "tornado_auth.toml").write_text(example)
        (tmp_path / "private.pem").write_text(PRIVATE)
        (tmp_path / "secret").write_text(SECRET)
        (tmp_path / "github_secret").write_text("s")
        settings = load_settings({})
        assert settings.external_address == "https://auth.example.org"
        assert settings.oidc_providers[0].name == "work"
