"""`tornado-auth nginx-config`: one template, checked values, and text that nginx takes."""

import re
import subprocess
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.conftest import CLI
from tests.nginx import SHIPPED, find_nginx, replaced, write_certificate
from tornado_auth.cli.nginx_config import (
    check_address,
    check_path,
    check_server_name,
    check_user,
    policy_query,
)

NO_SETTINGS = ("PRIVATE_KEY", "TORNADO_AUTH_SECRET", "EXTERNAL_ADDRESS", "DATABASE_URL")


@pytest.fixture
def nginx_config(environ: dict[str, str], cli: CLI) -> CLI:
    """The command without any setting but those that are given."""
    for name in NO_SETTINGS:
        del environ[name]

    def run(*arguments: str, **variables: str) -> Result:
        return cli("nginx-config", *arguments, **variables)

    return run


def servers(text: str, name: str) -> list[str]:
    (block,) = re.findall(rf"upstream {name} {{(.*?)}}", text, re.DOTALL)
    return re.findall(r"\bserver ([^;]*);", block)


def test_the_shipped_file_is_what_the_command_writes(nginx_config: CLI) -> None:
    result = nginx_config()
    assert result.exit_code == 0
    assert result.output == SHIPPED.read_text()


def test_every_option_has_its_place(nginx_config: CLI) -> None:
    result = nginx_config(
        *("--server-name", "WWW.example.org", "--application", "unix:/run/application.sock"),
        *("--upstream", "unix:/run/a/0.sock", "--upstream", "unix:/run/a/1.sock"),
        *("--certificate", "/etc/a.pem", "--certificate-key", "/etc/a.key"),
        *("--service", "reports", "--read", "view", "--write", "edit;all"),
    )
    text = result.output
    assert text.count("server_name www.example.org;") == 2
    wanted = [f"unix:/run/a/{number}.sock fail_timeout=1s" for number in (0, 1)]
    assert servers(text, "tornado_auth_checks") == servers(text, "tornado_auth") == wanted
    assert servers(text, "application") == ["unix:/run/application.sock"]
    assert "ssl_certificate /etc/a.pem;" in text
    assert "ssl_certificate_key /etc/a.key;" in text
    assert 'set $auth_policy "?service=reports&read=view&write=edit%3Ball";' in text
    assert "TORNADO_AUTH_TRUSTED_PROXIES=unix\n" in text
    assert "example.org" not in text.replace("www.example.org", "")


@pytest.mark.parametrize(
    ("listen", "upstream", "proxy"),
    [
        ("127.0.0.1:8123", "127.0.0.1:8123", "127.0.0.1"),
        ("0.0.0.0:80", "127.0.0.1:80", "127.0.0.1"),
        ("[::]:80", "[::1]:80", "::1"),
        ("unix:/run/tornado_auth/http.sock", "unix:/run/tornado_auth/http.sock", "unix"),
    ],
)
def test_the_addresses_are_those_of_the_settings(
    nginx_config: CLI, listen: str, upstream: str, proxy: str
) -> None:
    result = nginx_config(
        TORNADO_AUTH_LISTEN=listen,
        EXTERNAL_ADDRESS="https://Auth.example.com",
        DATABASE_URL="what is wrong elsewhere does not matter",
    )
    assert servers(result.output, "tornado_auth_checks") == [upstream]
    assert "server_name auth.example.com;" in result.output
    assert f"TORNADO_AUTH_TRUSTED_PROXIES={proxy}\n" in result.output


def test_an_option_has_precedence_over_the_settings(nginx_config: CLI) -> None:
    result = nginx_config(
        *("--upstream", "10.0.0.1:80", "--server-name", "a.example"),
        TORNADO_AUTH_LISTEN="127.0.0.1:8123",
        EXTERNAL_ADDRESS="auth.example.com",
    )
    assert servers(result.output, "tornado_auth") == ["10.0.0.1:80"]
    assert "auth.example.com" not in result.output


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TORNADO_AUTH_LISTEN", "nowhere"),
        ("TORNADO_AUTH_LISTEN", "unix:/run/a b;}"),
        ("EXTERNAL_ADDRESS", "https://[::1]"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    nginx_config: CLI, variable: str, value: str
) -> None:
    result = nginx_config(**{variable: value})
    assert result.exit_code == 2
    assert f"{variable}: " in result.output
    assert "server {" not in result.output


def test_a_settings_file_that_was_asked_for_must_be_there(cli: CLI, tmp_path: Path) -> None:
    result = cli("--config", f"{tmp_path}/nowhere.toml", "nginx-config")
    assert result.exit_code == 2
    assert "nowhere.toml cannot be read" in result.output


def test_a_settings_file_is_read(cli: CLI, nginx_config: CLI, tmp_path: Path) -> None:
    (tmp_path / "some.toml").write_text('listen = "127.0.0.1:81"\nunknown = true\n')
    result = cli("--config", f"{tmp_path}/some.toml", "nginx-config")
    assert servers(result.output, "tornado_auth") == ["127.0.0.1:81"]


@pytest.mark.parametrize(
    "option", ["--server-name", "--certificate", "--certificate-key", "--upstream", "--application"]
)
@pytest.mark.parametrize(
    "value",
    [
        "",
        "a b",
        "a;b",
        "/a;b",
        "/a b",
        "/a\nb",
        "/$a",
        "/a{",
        '/a"',
        "/a\\",
        "/a#",
        "/ä",
        "a.example\n",
        "a..example",
        "*.example",
        "~.*",
        "$host",
        "relative/a.pem",
        "/folder/",
        "127.0.0.1:80;",
        "127.0.0.1:0",
        "127.0.0.1:80\n",
        "unix:a",
        "unix:/a;b",
        "unix:/a:/b",
        "unix:/" + "a" * 107,
    ],
)
def test_what_could_end_a_directive_is_refused(nginx_config: CLI, option: str, value: str) -> None:
    result = nginx_config(option, value)
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.output
    assert "server {" not in result.output


def test_the_user_is_a_plain_name(nginx_config: CLI) -> None:
    assert "Invalid value for '--user'" in nginx_config("--main", "--user", "a;b").output
    assert "\nuser nobody;\n" in nginx_config("--main", "--user", "nobody").output


def test_a_permission_needs_a_service(nginx_config: CLI) -> None:
    for option in ("--permission", "--read", "--write"):
        result = nginx_config(option, "view")
        assert result.exit_code == 2
        assert "--service" in result.output


def test_one_permission_may_do_for_all_methods(nginx_config: CLI) -> None:
    text = nginx_config("--service", "reports", "--permission", "view").output
    assert 'set $auth_policy "?service=reports&permission=view";' in text


def test_a_name_with_a_control_character_is_refused(nginx_config: CLI) -> None:
    result = nginx_config("--service", "a\nb")
    assert result.exit_code == 2
    assert "control character" in result.output


@given(service=st.text(min_size=1), read=st.text(), write=st.text())
def test_no_name_leaves_the_query(service: str, read: str, write: str) -> None:
    try:
        query = policy_query(service, read=read, write=write)
    except ValueError:
        return
    assert re.fullmatch(r"\?[A-Za-z0-9._~%=&-]+", query)
    named = {"service": [service], "read": [read], "write": [write]}
    wanted = {name: value for name, value in named.items() if value != [""]}
    assert parse_qs(query[1:], strict_parsing=True) == wanted


@given(st.text(alphabet=st.characters(max_codepoint=0x17F), max_size=30))
def test_a_checked_value_is_one_word_of_nginx(text: str) -> None:
    for check in (check_server_name, check_path, check_address, check_user):
        for spelling in (text, f"/{text}", f"unix:/{text}", f"{text}:80"):
            try:
                checked = check(spelling)
            except ValueError:
                continue
            assert re.fullmatch(r"[A-Za-z0-9._/@+=,:\[\]-]+", checked)


@pytest.mark.parametrize("is_whole", [False, True])
def test_nginx_takes_it_without_a_warning(
    nginx_config: CLI, tmp_path: Path, is_whole: bool
) -> None:
    certificate, key = write_certificate(tmp_path)
    arguments = ["--certificate", str(certificate), "--certificate-key", str(key)]
    arguments += ["--upstream", "127.0.0.1:1", "--upstream", "unix:/run/a.sock"]
    text = nginx_config(*arguments, *(["--main"] if is_whole else [])).output
    if not is_whole:
        text = f"events {{}}\nhttp {{\n{text}}}\n"
    folders = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    changes = {"http {\n": f"http {{\n{folders}", "/var/log/nginx/": f"{tmp_path}/"}
    if is_whole:
        changes["user www-data;\n"] = ""  # only root may have one
    (tmp_path / "nginx.conf").write_text(replaced(text, changes))
    nginx = find_nginx()
    assert nginx, "scripts/test installs nginx"
    tried = subprocess.run(
        [
            *(nginx, "-t", "-e", f"{tmp_path}/main.log", "-g", f"pid {tmp_path}/pid;"),
            *("-c", f"{tmp_path}/nginx.conf"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert tried.returncode == 0, tried.stderr
    assert "warn" not in tried.stderr
