"""Where settings come from: variables, the files that variables name, and tornado_auth.toml.

Finds the raw value of each field and how its operator calls it; problems are collected, not raised.
Never interprets a value (`setting_types.py` does) and never repeats one in a problem.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = "TORNADO_AUTH_"
CONFIG_VARIABLE = "TORNADO_AUTH_CONFIG"
CONFIG_FILE = Path("tornado_auth.toml")

SEED_VARIABLES = frozenset(
    {
        "PRIVATE_KEY",
        "PUBLIC_KEY",
        "GOOGLE_KEY",
        "GOOGLE_SECRET",
        "GITHUB_KEY",
        "GITHUB_SECRET",
        "DATABASE_URL",
        "EXTERNAL_ADDRESS",
        "ALLOWED_SERVICES",
        "INSTALLED_EXTENSIONS",
    }
)
DEV_REMEDY = (
    "no file or variable switches the development login on. Remove it and start with "
    "`tornado-auth serve --dev`."
)


def variable_of(field_name: str) -> str:
    """Return the variable that sets a field."""
    name = field_name.upper()
    return name if name in SEED_VARIABLES else PREFIX + name


@dataclass(slots=True)
class RawSettings:
    """What the sources hold: values by field, how each was named, and what is wrong with them."""

    values: dict[str, object] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    bad: set[str] = field(default_factory=set)

    def name_of(self, field_name: str) -> str:
        """Return what to call a field in a problem."""
        return self.names.get(field_name, variable_of(field_name))

    def add_problem(self, field_name: str, text: str) -> None:
        """Note a problem of one field, in a text that continues the field's name."""
        self.bad.add(field_name)
        self.problems.append(f"{self.name_of(field_name)}: {text}")


@dataclass(frozen=True, slots=True)
class KnownSettings:
    """The names of all fields, and of those for which "set but blank" is not "unset"."""

    fields: frozenset[str]
    keep_blank: frozenset[str] = frozenset()

    def is_set(self, field_name: str, value: object) -> bool:
        """Tell whether this is a value: compose files pass on unset variables as blank ones."""
        if isinstance(value, str) and not value.strip():
            return field_name in self.keep_blank
        return value is not None

    def unknown(self, name: str, spell: Callable[[str], str]) -> str:
        """Return the problem with a name that is none of ours, and the name that was meant."""
        if name.lower() == "dev":
            return DEV_REMEDY
        if close := difflib.get_close_matches(name.lower(), sorted(self.fields), n=1):
            return f"there is no such setting. Did you mean {spell(close[0])}?"
        return "there is no such setting. Remove it; docs/settings.md lists all of them."


def read_sources(
    environ: Mapping[str, str], settings: KnownSettings, *, config_file: Path | None = None
) -> RawSettings:
    """Read every source; a variable has precedence over the file tornado_auth.toml."""
    raw = RawSettings()
    _read_toml(raw, settings, _config_file(environ, config_file))
    _read_environment(raw, settings, environ)
    return raw


# -- variables ----------------------------------------------------------------------------------


def _read_environment(
    raw: RawSettings, settings: KnownSettings, environ: Mapping[str, str]
) -> None:
    known = {CONFIG_VARIABLE}
    for name in settings.fields:
        variable = variable_of(name)
        found = _Found(name, environ.get(variable), environ.get(f"{variable}_FILE"))
        found.put_into(raw, settings, names=(variable, f"{variable}_FILE"))
        known |= {variable, f"{variable}_FILE"}
    for variable in sorted(environ):
        if variable.upper().startswith(PREFIX) and variable not in known:
            raw.problems.append(
                f"{variable}: {settings.unknown(variable[len(PREFIX) :], variable_of)}"
            )


@dataclass(frozen=True, slots=True)
class _Found:
    """What one source says of one field: a value, or the file to read it from."""

    field: str
    value: object
    file: object
    folder: Path = Path()

    def put_into(
        self, raw: RawSettings, settings: KnownSettings, *, names: tuple[str, str]
    ) -> None:
        """Take the value or the content of the file; `names` is what to call the two."""
        has_value = settings.is_set(self.field, self.value)
        has_file = bool(self.file.strip()) if isinstance(self.file, str) else self.file is not None
        if has_value or has_file:
            raw.values[self.field] = self.value
            raw.names[self.field] = names[has_file]
        if has_value and has_file:
            raw.add_problem(self.field, f"{names[0]} is set as well. Set one of the two.")
        elif has_file:
            try:
                raw.values[self.field] = _read_text(self.folder, self.file)
            except ValueError as error:
                raw.add_problem(self.field, f"the file {error}")


def _read_text(folder: Path, name: object) -> str:
    """Return the content of a file without the line break at its end; raises ValueError.

    The message does not name the path: somebody may have put the secret itself there.
    """
    if not isinstance(name, str):
        raise ValueError("has no name. Put its name in quotes.")
    try:
        text = (folder / name.strip()).read_bytes().decode()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text. Write it anew.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no usable name"
        raise ValueError(f"cannot be read: {reason}. Name one that this user can read.") from None
    if not text.strip():
        raise ValueError("is empty. Write the value into it.")
    return text.removesuffix("\n").removesuffix("\r")


# -- tornado_auth.toml --------------------------------------------------------------------------


def _config_file(environ: Mapping[str, str], config_file: Path | None) -> Path | None:
    if config_file is not None:
        return config_file
    named = environ.get(CONFIG_VARIABLE, "").strip()
    if named:
        return Path(named)
    return CONFIG_FILE if CONFIG_FILE.exists() else None


def _read_toml(raw: RawSettings, settings: KnownSettings, path: Path | None) -> None:
    if path is None:
        return
    try:
        table = _load_toml(path)
    except ValueError as error:
        raw.problems.append(f"{CONFIG_VARIABLE}: {_shown(path.name)} {error}")
        return
    for name in settings.fields:
        found = _Found(name, table.pop(name, None), table.pop(f"{name}_file", None), path.parent)
        variable, place = variable_of(name), f"in {_shown(path.name)})"
        found.put_into(
            raw,
            settings,
            names=(f"{variable} ({name} {place}", f"{variable} ({name}_file {place}"),
        )
    for key in sorted(table):
        raw.problems.append(f"{key!a} in {_shown(path.name)}: {settings.unknown(key, str)}")


def _load_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text. Write it anew.") from None
    except tomllib.TOMLDecodeError as error:
        # Only the place: the rest may quote what is there.
        place = re.search(r"line \d+, column \d+|end of document", str(error))
        raise ValueError(
            f"is not valid TOML (at {place[0] if place else 'an unknown place'}). Correct it."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no usable name"
        raise ValueError(
            f"cannot be read: {reason}. Name a file that this user can read."
        ) from None


def _shown(name: str) -> str:
    return ascii(name)[1:-1]
