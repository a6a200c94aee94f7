"""Where settings come from: variables, the files they name, and tornado_auth.toml."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.setting_samples import ISSUER, PRIVATE, SECRET, load, problem
from tornado_auth.errors import SettingsError
from tornado_auth.next_urls import Handover
from tornado_auth.settings import OIDCProviderSettings, load_settings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class TestFiles:
    def test_a_value_can_be_in_a_file(self, tmp_path):
        (tmp_path / "key").write_text(PRIVATE)
        (tmp_path / "google").write_text(" id with spaces \r\n")
        settings = load_settings(
            {
                "PRIVATE_KEY": "",
                "PRIVATE_KEY_FILE": str(tmp_path / "key"),
                "TORNADO_AUTH_SECRET": SECRET,
                "GOOGLE_KEY_FILE": f" {tmp_path}/google ",
                "GOOGLE_SECRET": "s",
            }
        )
        assert settings.private_key == PRIVATE
        assert settings.google_key == "id with spaces"

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (None, "cannot be read: No such file or directory"),
            (b"", "is empty"),
            (b"\n", "is empty"),
            (b"\xff\xfe", "is not UTF-8 text"),
            (b"short", "entry 1 is shorter"),
        ],
    )
    def test_a_file_that_cannot_be_used_is_named_by_its_variable(self, tmp_path, content, why):
        if content is not None:
            (tmp_path / "file").write_bytes(content)
        environ = {"PRIVATE_KEY": PRIVATE, "TORNADO_AUTH_SECRET_FILE": str(tmp_path / "file")}
        with pytest.raises(SettingsError) as caught:
            load_settings(environ)
        (text,) = caught.value.problems
        assert text.startswith("TORNADO_AUTH_SECRET_FILE: ")
        assert why in text

    def test_a_folder_is_no_file(self, tmp_path):
        text = problem({"GOOGLE_KEY_FILE": str(tmp_path), "GOOGLE_SECRET": "s"})
        assert text.startswith("GOOGLE_KEY_FILE: the file cannot be read: Is a directory.")

    # S149
    @pytest.mark.parametrize("pasted", [SECRET, PRIVATE, "x" * 5000 + SECRET, "\0" + SECRET])
    def test_a_secret_pasted_where_a_file_name_is_due_is_not_shown(self, pasted):
        text = problem({"GOOGLE_SECRET_FILE": pasted, "GOOGLE_KEY": "k"})
        assert text.startswith("GOOGLE_SECRET_FILE: the file cannot be read: ")
        assert SECRET not in text
        assert "hidden" not in text

    def test_a_value_and_its_file_together_are_a_mistake(self, tmp_path):
        (tmp_path / "key").write_text(PRIVATE)
        text = problem({"PRIVATE_KEY_FILE": str(tmp_path / "key")})
        assert text == "PRIVATE_KEY_FILE: PRIVATE_KEY is set as well. Set one of the two."


class TestTOML:
    def write(self, text: str, name: str = "tornado_auth.toml") -> Path:
        path = Path.cwd() / name
        path.write_text(text)
        return path

    def test_the_file_of_the_working_folder_is_read(self):
        self.write(
            """
            listen = "[::1]:9000"
            ops_listen = false
            trusted_proxies = ["127.0.0.1", "unix"]
            session_lifetime = "12h"
            permission_timeout = 2.5
            local_accounts = false
            allowed_services = ["world:demo.world", "demo.other"]
            allowed_emails = ["@Example.org"]

            [allowed_next]
            "https://app.example.org" = "query"

            [[oidc_providers]]
            name = "work"
            issuer = "https://login.example.org/realm/"
            client_id = "us"
            client_secret = "upstream-hidden"
            label = "Work"
            scopes = ["openid", "groups"]
            """
        )
        settings = load()
        assert settings.listen == "[::1]:9000"
        assert settings.ops_listen == "off"
        assert settings.external_address == "http://localhost:9000"
        assert settings.trusted_proxies == (ip_network("127.0.0.1"), "unix")
        assert settings.session_lifetime == settings.session_idle_limit == 43200
        assert settings.permission_timeout == 2.5
        assert settings.local_accounts is False
        assert settings.allowed_services == (
            ("world", "demo.world"),
            ("demo.other", "demo.other"),
        )
        assert settings.allowed_emails == ("@example.org",)
        assert settings.allowed_next == {"https://app.example.org": Handover.QUERY}
        (provider,) = settings.oidc_providers
        assert provider == OIDCProviderSettings(**ISSUER, label="Work", scopes=("openid", "groups"))

    def test_a_variable_has_precedence(self):
        self.write('listen = "127.0.0.1:9000"\nlog_level = "DEBUG"\n')
        settings = load({"TORNADO_AUTH_LISTEN": "127.0.0.1:9001", "TORNADO_AUTH_LOG_LEVEL": " "})
        assert settings.listen == "127.0.0.1:9001"
        assert settings.log_level == "DEBUG"

    def test_a_file_in_it_is_beside_it(self, tmp_path):
        (tmp_path / "conf").mkdir()
        (tmp_path / "conf" / "key.pem").write_text(PRIVATE)
        path = self.write('private_key_file = "key.pem"', "conf/our.toml")
        assert load({"PRIVATE_KEY": ""}, config_file=path).private_key == PRIVATE

    def test_its_place_can_be_named(self):
        one = self.write('log_level = "ERROR"', "one.toml")
        two = self.write('log_level = "DEBUG"', "two.toml")
        self.write('log_level = "WARNING"')
        named = {"TORNADO_AUTH_CONFIG": str(one)}
        assert load().log_level == "WARNING"
        assert load(named).log_level == "ERROR"
        assert load(named, config_file=two).log_level == "DEBUG"

    def test_a_named_file_must_be_there(self):
        text = problem({"TORNADO_AUTH_CONFIG": "/nowhere/our.toml"})
        assert text.startswith("TORNADO_AUTH_CONFIG: our.toml cannot be read: No such file")

    def test_a_name_that_no_file_can_have_is_a_mistake(self):
        assert "cannot be read: no usable name" in problem({"TORNADO_AUTH_CONFIG": "a\0b"})

    def test_text_that_is_not_toml_is_not_shown(self):
        self.write(f'log_level = "INFO"\nsecret = "{SECRET}\nlisten = "x"')
        text = problem({})
        assert text.startswith(
            "TORNADO_AUTH_CONFIG: tornado_auth.toml is not valid TOML (at line 2"
        )
        assert SECRET not in text

    def test_text_that_ends_early_is_not_toml(self):
        self.write("listen =")
        assert "is not valid TOML (at end of document)" in problem({})

    def test_bytes_that_are_not_text_are_not_toml(self):
        (Path.cwd() / "tornado_auth.toml").write_bytes(b"\xff")
        assert "tornado_auth.toml is not UTF-8 text" in problem({})

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ('listn = "x"', "'listn' in tornado_auth.toml: there is no such setting. "
             "Did you mean listen?"),
            ('GOOGLE_KEY = "x"', "'GOOGLE_KEY' in tornado_auth.toml: there is no such setting. "
             "Did you mean google_key?"),
            ("xyzzy = 1", "'xyzzy' in tornado_auth.toml: there is no such setting. Remove it"),
            ("dev = true", "'dev' in tornado_auth.toml: no file or variable switches"),
            ("listen = 8080", "TORNADO_AUTH_LISTEN (listen in tornado_auth.toml): is not text"),
            ('log_level = 10', "TORNADO_AUTH_LOG_LEVEL (log_level in tornado_auth.toml): is none"),
            ("jwt_parameter = 1", "TORNADO_AUTH_JWT_PARAMETER (jwt_parameter in "
             "tornado_auth.toml): is neither true nor false"),
            ("stale_limit = true", "TORNADO_AUTH_STALE_LIMIT (stale_limit in tornado_auth.toml): "
             "is not a time"),
            ("stale_limit = 1.5", "TORNADO_AUTH_STALE_LIMIT (stale_limit in tornado_auth.toml): "
             "has a fraction"),
            ("storage_timeout = nan", "TORNADO_AUTH_STORAGE_TIMEOUT (storage_timeout in "
             "tornado_auth.toml): is out of range"),
            ("allowed_emails = []", "TORNADO_AUTH_ALLOWED_EMAILS (allowed_emails in "
             "tornado_auth.toml): is set but empty"),
            ("cors_origins = [1]", "TORNADO_AUTH_CORS_ORIGINS (cors_origins in tornado_auth.toml): "
             "is not a list of text"),
            ("public_key = 1", "PUBLIC_KEY (public_key in tornado_auth.toml): is not PEM text"),
            ("public_key_file = 1", "PUBLIC_KEY (public_key_file in tornado_auth.toml): "
             "the file has no name"),
            ('oidc_providers = ["x"]', "TORNADO_AUTH_OIDC_PROVIDERS (oidc_providers in "
             "tornado_auth.toml): is not a list of tables"),
            ('public_key = "x"\npublic_key_file = "y"', "PUBLIC_KEY (public_key_file in "
             "tornado_auth.toml): PUBLIC_KEY (public_key in tornado_auth.toml) is set as well"),
        ],
    )  # fmt: skip
    def test_a_mistake_in_it_is_named_by_key_and_file(self, line, expected):
        self.write(line)
        assert problem({}).startswith(expected)


class TestUnknownVariables:
    @pytest.mark.parametrize(
        ("variable", "remedy"),
        [
            ("TORNADO_AUTH_LISTN", "Did you mean TORNADO_AUTH_LISTEN?"),
            ("tornado_auth_listen", "Did you mean TORNADO_AUTH_LISTEN?"),
            ("TORNADO_AUTH_PRIVATE_KEY", "Did you mean PRIVATE_KEY?"),
            ("TORNADO_AUTH_XYZZY", "docs/settings.md lists all of them."),
        ],
    )
    def test_a_mistyped_variable_is_a_mistake(self, variable, remedy):
        with pytest.raises(SettingsError) as caught:
            load({variable: SECRET})
        (text,) = caught.value.problems
        assert text.startswith(f"{variable}: there is no such setting.")
        assert text.endswith(remedy)
        assert SECRET not in text

    # S103 D28
    @pytest.mark.parametrize("variable", ["TORNADO_AUTH_DEV", "TORNADO_AUTH_DEV_FILE"])
    def test_no_variable_switches_the_development_login_on(self, variable):
        assert problem({variable: "true"}).startswith(f"{variable}: ")

    def test_other_variables_are_none_of_our_business(self):
        assert load({"PATH": "/bin", "TORNADO_PORT": "x", "GOOGLE_KEYS": "x"}) == load()
