"""The systemd unit and the image; neither can be run here."""

import configparser
from pathlib import Path

DEPLOY = Path(__file__).parent.parent.parent / "deploy"


def test_the_unit_starts_a_command_that_exists() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "tornado_auth.service")
    assert unit["Service"]["ExecStart"].endswith("/tornado-auth serve --processes 1")
    assert unit["Service"]["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert unit["Service"]["DynamicUser"] == "yes"


def test_the_image_does_not_run_as_root() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert "USER tornado_auth" in lines
    assert lines[-1] == 'CMD ["tornado-auth", "serve"]'
