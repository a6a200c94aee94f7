"""GitHub's API, as far as a sign-in needs it, in the shape of Tornado's mixins.

Owns who GitHub says that somebody is: user, verified addresses, organisations and teams. Never
decides who may sign in.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from tornado_auth.upstream.claims import verified_email
from tornado_auth.upstream.http import (
    BearerOAuth2Mixin,
    access_token_of,
    bearer,
    fetch_json,
    fetch_pages,
    object_of,
    upstream_failure,
)

_GITHUB = "github"
_MAY_READ_ORGANIZATIONS = frozenset({"read:org", "write:org", "admin:org"})
_PAGE = 30  # teams come with all that there is to say of them, and an answer has a limit


class GitHubOAuth2Mixin(BearerOAuth2Mixin):
    """Sign in with GitHub; for a provider object or, as Tornado's own mixins, for a handler.

    A handler redirects with Tornado's `authorize_redirect`, giving `state`, `code_challenge` and
    `code_challenge_method` as `extra_params`, checks `state` on the way back, and then calls
    `get_authenticated_user`.
    """

    _OAUTH_AUTHORIZE_URL = "https://github.com/login/oauth/authorize"
    _OAUTH_ACCESS_TOKEN_URL = "https://github.com/login/oauth/access_token"  # noqa: S105 - an address
    _OAUTH_USER_URL = "https://api.github.com/user"
    _OAUTH_NO_CALLBACKS = False

    async def get_authenticated_user(
        self,
        redirect_uri: str,
        code: str,
        *,
        client_id: str,
        client_secret: str,
        code_verifier: str,
    ) -> dict[str, Any]:
        """Redeem the code and return GitHub's user object.

        It gains `access_token`, `granted_scopes`, and `verified_emails`, the primary one first; its
        `id` is an int. Everything else is as GitHub sent it. Raises UpstreamError.
        """
        value = await fetch_json(
            self.get_auth_http_client(),
            self._OAUTH_ACCESS_TOKEN_URL,
            provider=_GITHUB,
            form={
                "client_id": client_id,
                "client_secret": client_secret,
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": code_verifier,
            },
        )
        answer = object_of(value, _GITHUB)
        token = access_token_of(answer, _GITHUB)
        user = object_of(await self._github_api(self._OAUTH_USER_URL, token), _GITHUB)
        if type(user.get("id")) is not int or not 0 < user["id"] < 1 << 63:
            raise upstream_failure(_GITHUB, "subject")
        emails = await self._verified_emails(token)
        return {
            **user,
            "access_token": token,
            "granted_scopes": _scopes(answer.get("scope")),
            "verified_emails": emails,
        }

    async def is_active_member(self, organization: str, access_token: str) -> bool:
        """Tell whether the user belongs to an organisation; needs the scope `read:org`.

        Raises UpstreamError when GitHub does not say.
        """
        url = f"{self._OAUTH_USER_URL}/memberships/orgs/{quote(organization, safe='')}"
        answer = await self._github_api(url, access_token, absent=(403, 404))
        if answer is None:
            return False
        return object_of(answer, _GITHUB).get("state") == "active"

    async def get_groups(self, access_token: str, granted_scopes: Sequence[str]) -> tuple[str, ...]:
        """Return the user's organisations, "org", and teams, "org/team"; needs `read:org`.

        Those count that the user has joined. None of them does, which is logged, if the user may be
        why GitHub does not tell all: otherwise who withdraws the scope would stay in groups for
        ever. Raises UpstreamError if GitHub is out of order.
        """
        if _MAY_READ_ORGANIZATIONS.isdisjoint(granted_scopes):
            upstream_failure(_GITHUB, "scope")
            return ()
        joined = f"{self._OAUTH_USER_URL}/memberships/orgs?state=active&per_page={_PAGE}"
        memberships = await self._github_list(joined, access_token)
        if memberships is None:
            return ()
        teams = await self._github_list(
            f"{self._OAUTH_USER_URL}/teams?per_page={_PAGE}", access_token
        )
        return () if teams is None else _groups(memberships, teams)

    async def _verified_emails(self, access_token: str) -> list[str]:
        # 403 and 404: the scope user:email was not granted. A sign-in does not need an address.
        answer = await self._github_api(
            f"{self._OAUTH_USER_URL}/emails", access_token, absent=(403, 404)
        )
        if not isinstance(answer, list | None):
            raise upstream_failure(_GITHUB, "wrong_type")
        entries = [entry for entry in answer or () if isinstance(entry, dict)]
        entries.sort(key=lambda entry: entry.get("primary") is not True)
        return [
            entry["email"]
            for entry in entries
            if verified_email(entry.get("email"), entry.get("verified"))
        ]

    async def _github_api(self, url: str, access_token: str, *, absent: Sequence[int] = ()) -> Any:
        return await fetch_json(
            self.get_auth_http_client(),
            url,
            provider=_GITHUB,
            headers=_headers(access_token),
            absent=absent,
        )

    async def _github_list(self, url: str, access_token: str) -> list[dict[str, Any]] | None:
        entries = await fetch_pages(
            self.get_auth_http_client(), url, provider=_GITHUB, headers=_headers(access_token)
        )
        if entries is None:
            return None
        return [entry for entry in entries if isinstance(entry, dict)]


def _scopes(value: object) -> tuple[str, ...]:
    """Read the scopes of a token answer, which GitHub joins by commas; none if it has none."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else ()


def _groups(
    memberships: Iterable[dict[str, Any]], teams: Iterable[dict[str, Any]]
) -> tuple[str, ...]:
    organizations = {
        _name(entry.get("organization"), "login"): None
        for entry in memberships
        if entry.get("state") == "active"
    }
    organizations.pop("", None)
    pairs = [(_name(team.get("organization"), "login"), _name(team, "slug")) for team in teams]
    names = [f"{login}/{slug}" for login, slug in pairs if slug and login in organizations]
    return tuple(dict.fromkeys([*organizations, *names]))


def _headers(access_token: str) -> dict[str, str]:
    return {**bearer(access_token), "Accept": "application/vnd.github+json"}


def _name(value: object, member: str) -> str:
    """Return a name of an organisation or team; empty if it is none."""
    name = value.get(member) if isinstance(value, dict) else None
    return name if isinstance(name, str) and "/" not in name else ""
