"""Settings: one frozen, typed object from variables, files and tornado_auth.toml.

Owns which settings there are, their defaults, and the rules between them. All mistakes are reported
at once, each under the name that its operator used, with the remedy, and without the value. Reads
nothing at import, and the environment only as it is handed in. Keys are read by `keys.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tornado_auth import setting_addresses as addresses
from tornado_auth import setting_types as types
from tornado_auth.errors import SettingsError
from tornado_auth.next_urls import Handover
from tornado_auth.setting_fields import (
    URL,
    Flag,
    Issuer,
    Origins,
    RequestTimeout,
    Text,
    Timeout,
    setting,
)
from tornado_auth.setting_oauth2 import OAuth2Settings
from tornado_auth.setting_rules import RULES
from tornado_auth.setting_sources import KnownSettings, RawSettings, read_sources, variable_of

FORTNIGHT = 14 * 86400
A_PROVIDER = (
    '[{"name": "...", "issuer": "https://...", "client_id": "...", "client_secret": "..."}]'
)


class OIDCProviderSettings(BaseModel):
    """One OpenID Connect issuer that people can sign in with."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, BeforeValidator(types.parse_provider_name)]
    issuer: Issuer
    client_id: Annotated[str, BeforeValidator(types.parse_credential)]
    client_secret: Annotated[str, BeforeValidator(types.parse_credential)] = Field(repr=False)
    label: Text = ""
    scopes: Annotated[tuple[str, ...], BeforeValidator(types.parse_scopes)] = (
        "openid",
        "email",
        "profile",
    )
    groups_claim: Text = "groups"


@dataclass(frozen=True, slots=True)
class SettingDescription:
    """What the documentation says of one setting; `default` is empty if there is none."""

    field: str
    variable: str
    default: str
    help: str


def _local_origin(fields: Mapping[str, Any]) -> str:
    listen = addresses.listen_address(fields["listen"])
    return addresses.parse_origin(f"http://localhost:{listen.port}") if listen.is_loopback else ""


def _idle_limit(fields: Mapping[str, Any]) -> int:
    return min(FORTNIGHT, int(fields["session_lifetime"]))


class Settings(OAuth2Settings, BaseSettings):
    """Everything that can be set; `load_settings` makes it."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False
    )

    # Where we are
    listen: Annotated[str, BeforeValidator(addresses.parse_listen)] = setting(
        "127.0.0.1:8080",
        "Where the service listens: `host:port`, `[IPv6 address]:port` or `unix:/path`.",
    )
    ops_listen: Annotated[str, BeforeValidator(addresses.parse_listen_or_off)] = setting(
        "127.0.0.1:8081", "Where `/metrics` and `/health/` are served, for operators; or `off`."
    )
    external_address: Annotated[str, BeforeValidator(addresses.parse_external_address)] = setting(
        _local_origin,
        "The address by which browsers reach the service, and its issuer: `https://host[:port]`. "
        "A bare host means https. Required unless the service listens on loopback.",
        shown="http://localhost:8080",
    )
    trusted_proxies: Annotated[tuple[types.Network, ...], BeforeValidator(types.parse_networks)] = (
        setting(
            (),
            "Addresses or networks of the proxies whose forwarded headers count; `unix` for those "
            "that come by the unix socket.",
        )
    )

    # Keys, secrets, store
    private_key: Annotated[str, BeforeValidator(types.pem("PRIVATE", "PRIVATE_KEY"))] = setting(
        "", "The key that signs tokens, as PEM text. Required.", secret=True
    )
    public_key: Annotated[str, BeforeValidator(types.pem("PUBLIC", "PUBLIC_KEY"))] = setting(
        "", "The public half of `PRIVATE_KEY`, as PEM text; it is worked out where not given."
    )
    signing_algorithm: Annotated[
        Literal["RS256", "ES256", "EdDSA"],
        BeforeValidator(types.choice("RS256", "ES256", "EdDSA")),
    ] = setting("RS256", "The algorithm of `PRIVATE_KEY`: `RS256`, `ES256` or `EdDSA`.")
    verification_keys: Annotated[
        str, BeforeValidator(types.pem("PUBLIC", "TORNADO_AUTH_VERIFICATION_KEYS"))
    ] = setting(
        "",
        "Public keys of former or coming private keys, PEM texts one after another: their "
        "tokens are valid too.",
    )
    secret: Annotated[tuple[str, ...], BeforeValidator(types.parse_secrets)] = setting(
        (),
        "Seals what a browser keeps for us during a sign-in: at least 32 random characters. "
        "Several, newest first, separated by spaces: the first seals, all open. Required.",
        secret=True,
    )
    database_url: Annotated[str, BeforeValidator(addresses.parse_database_url)] = setting(
        "sqlite:///tornado_auth.db",
        "The store: `sqlite:///path`, `mongodb://...`, `mongodb+srv://...` or `memory://`.",
        secret=True,
    )
    storage_timeout: Timeout = setting(2.0, "Seconds that the store may take to answer.")
    write_timeout: Timeout = setting(
        10.0, "Seconds for which a write is tried again, as during the election of a new primary."
    )
    stale_limit: Annotated[int, BeforeValidator(types.duration("0s", "24h"))] = setting(
        60,
        "Seconds for which those already known still pass while it cannot be learnt whether their "
        "session was ended.",
    )
    known_sessions: Annotated[int, BeforeValidator(types.count(1, 10_000_000))] = setting(
        100_000, "How many sessions, and tokens, each process remembers: about 2 KiB for each."
    )

    # Signing in
    google_key: Text = setting("", "Client id of the sign-in with Google.")
    google_secret: Text = setting("", "Client secret of the sign-in with Google.", secret=True)
    google_issuer: Issuer = setting("https://accounts.google.com", "The issuer behind `google`.")
    google_hosted_domains: Annotated[tuple[str, ...], BeforeValidator(types.parse_domains)] = (
        setting((), "Google Workspace domains; only their members may sign in with Google.")
    )
    github_key: Text = setting("", "Client id of the sign-in with GitHub.")
    github_secret: Text = setting("", "Client secret of the sign-in with GitHub.", secret=True)
    github_url: URL = setting("https://github.com", "GitHub, or your GitHub Enterprise Server.")
    github_api_url: URL = setting(
        "https://api.github.com", "Its API; `https://host/api/v3` of GitHub Enterprise Server."
    )
    github_organizations: Annotated[tuple[str, ...], BeforeValidator(types.parse_organizations)] = (
        setting((), "GitHub organisations; only their members may sign in with GitHub.")
    )
    github_groups: Flag = setting(
        False, "Whether GitHub is asked for organisations and teams, for mappings to our groups."
    )
    oidc_providers: Annotated[
        tuple[OIDCProviderSettings, ...], BeforeValidator(types.tables(A_PROVIDER))
    ] = setting(
        (),
        "OpenID Connect issuers to sign in with, each with `name`, `issuer`, `client_id`, "
        "`client_secret` and, if need be, `label`, `scopes` and `groups_claim`. In the variable: "
        "a JSON list.",
    )
    local_accounts: Flag = setting(True, "Whether people can sign in with user name and password.")
    allowed_emails: Annotated[tuple[str, ...], BeforeValidator(types.parse_emails)] = setting(
        (), "E-mail addresses (`name@example.org`) and domains (`@example.org`) that may sign in."
    )
    upstream_timeout: Timeout = setting(10.0, "Seconds that a login provider may take to answer.")

    # Sessions and tokens
    session_lifetime: Annotated[int, BeforeValidator(types.duration("5m", "400d"))] = setting(
        FORTNIGHT, "Seconds after which a session ends in any case."
    )
    session_idle_limit: Annotated[int, BeforeValidator(types.duration("5m", "400d"))] = setting(
        _idle_limit,
        "Seconds without use after which a session ends; at most the lifetime.",
        shown=str(FORTNIGHT),
    )
    allowed_next: Annotated[dict[str, Handover], BeforeValidator(addresses.parse_allowed_next)] = (
        setting(
            {},
            "Origins to which people may be sent after signing in, and how the token gets there: "
            "`origin=code` (a one-time code, the default), `origin=query` (`?jwt=`) or "
            "`origin=cookie` (the same host as ours).",
        )
    )
    cors_origins: Origins = setting((), "Origins whose scripts may call the API.")
    jwt_parameter: Flag = setting(
        True, "Whether the API under `/auth/` also takes the token as parameter `jwt`."
    )
    public_profiles: Flag = setting(
        False, "Whether `/auth/resolve` and `/auth/get_profile` answer those not signed in."
    )

    # Permissions and extensions
    allowed_services: Annotated[
        tuple[tuple[str, str], ...], BeforeValidator(types.parse_services)
    ] = setting(
        (),
        "Permission providers: a `;` list of `[alias:]module`; `tornado_auth.roles` is the "
        "built-in one.",
    )
    permission_token_lifetime: Annotated[int, BeforeValidator(types.duration("1s", "1h"))] = (
        setting(300, "Seconds for which a permission token is valid.")
    )
    permission_timeout: Timeout = setting(5.0, "Seconds that a permission provider may take.")
    permission_cache_seconds: Annotated[int, BeforeValidator(types.duration("0s", "5m"))] = setting(
        5, "Seconds for which the answer of a permission provider is kept."
    )
    installed_extensions: Annotated[tuple[str, ...], BeforeValidator(types.parse_modules)] = (
        setting((), "Extensions: a `;` list of modules.")
    )
    extension_timeout: Timeout = setting(5.0, "Seconds that one call of an extension may take.")

    # Behaviour as a server
    audit_retention: Annotated[int, BeforeValidator(types.duration("1d", "3650d"))] = setting(
        365 * 86400, "Seconds for which an event of the audit log is kept."
    )
    fast_path: Flag = setting(
        True, "Whether plain requests to `/auth/check` and `/auth/verify` bypass Tornado."
    )
    header_timeout: RequestTimeout = setting(
        10.0, "Seconds in which the headers of a request must arrive."
    )
    body_timeout: RequestTimeout = setting(
        15.0, "Seconds in which the body of a request must arrive."
    )
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        BeforeValidator(types.choice("DEBUG", "INFO", "WARNING", "ERROR")),
    ] = setting("INFO", "What is logged: `DEBUG`, `INFO`, `WARNING` or `ERROR`, and worse.")
    log_format: Annotated[
        Literal["json", "text"], BeforeValidator(types.choice("json", "text"))
    ] = setting("json", "One JSON object a line (`json`) or lines for people (`text`).")
    dev: bool = setting(False, "Whether the development login is on; only by `--dev`.")

    @property
    def issuer(self) -> str:
        """Our own origin, the `iss` of every token that we sign."""
        return self.external_address

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave the sources to `setting_sources.py`, which can name each value's origin."""
        return (init_settings,)

    @classmethod
    def describe(cls) -> list[SettingDescription]:
        """List every setting that a variable can set, for the documentation and its test."""
        return [
            SettingDescription(
                field=name,
                variable=variable_of(name),
                default=_shown_default(info),
                help=info.description or "",
            )
            for name, info in cls.model_fields.items()
            if name != "dev"
        ]


def load_settings(
    environ: Mapping[str, str], *, dev: bool = False, config_file: Path | None = None
) -> Settings:
    """Read the settings from the variables, their files, and tornado_auth.toml.

    `dev` switches the development login on. Raises SettingsError with all problems there are.
    """
    raw = read_sources(environ, _KNOWN, config_file=config_file)
    settings = _validate(raw, dev=dev)
    bad = frozenset(raw.bad)
    for fields, rule in RULES:
        if bad.isdisjoint(fields):
            for field, text in rule(settings):
                raw.add_problem(field, text)
    if raw.problems:
        raise SettingsError(raw.problems)
    return settings


_KNOWN = KnownSettings(
    fields=frozenset(Settings.model_fields) - {"dev"},
    keep_blank=frozenset({"allowed_emails", "github_organizations", "google_hosted_domains"}),
)


def _validate(raw: RawSettings, *, dev: bool) -> Settings:
    """Make settings of the values that are good, and note what is wrong with the others."""
    try:
        return _make(raw, dev=dev)
    except ValidationError as error:
        for details in error.errors(include_url=False, include_input=False):
            if details["type"] != "default_factory_not_called":
                raw.add_problem(str(details["loc"][0]), _text_of(details))
    return _make(raw, dev=dev)


def _make(raw: RawSettings, *, dev: bool) -> Settings:
    values = {name: value for name, value in raw.values.items() if name not in raw.bad}
    return Settings.model_validate({**values, "dev": dev})


_PYDANTIC_TEXTS = {
    "missing": "is missing. Add it.",
    "extra_forbidden": "is unknown. Remove it, or correct its name.",
}


def _text_of(details: ErrorDetails) -> str:
    """Return what is wrong, from our own texts alone: pydantic's may hold the value."""
    error = details.get("ctx", {}).get("error")
    text = str(error) if error else _PYDANTIC_TEXTS.get(details["type"], "has the wrong type.")
    match details["loc"]:
        case (_, int(index), str(key)):
            return f"entry {index + 1}: {key!a} {text}"
    return text


def _shown_default(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    if isinstance(extra, dict) and "shown" in extra:
        return str(extra["shown"])
    if isinstance(info.default, bool):
        return str(info.default).lower()
    return f"{info.default:g}" if isinstance(info.default, float) else str(info.default or "")
