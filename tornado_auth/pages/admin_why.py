"""The page that says what a user may do in a service, and which role, group or provider decided.

Owns the words. Never decides: `permissions.py` asks and explains. See `admin.py` for the frame.
"""

import json
from typing import Any

from tornado_auth.models import User
from tornado_auth.pages.admin import AdminHandler
from tornado_auth.pages.admin_rows import Row, Rows, page_url
from tornado_auth.permission_providers import ProviderAnswer
from tornado_auth.permissions import Explanation
from tornado_auth.roles import Source

ANSWERED = "answered"


class WhyHandler(AdminHandler):
    """GET /auth/admin/users/<id>/why: an explanation, of the process that answers."""

    section = "users"
    template = "admin_why.html"

    def url(self, name: str) -> str:
        """See AdminHandler."""
        return f"{page_url('users', name)}/why"

    async def gather(self, name: str) -> dict[str, Any]:
        """Ask, if a service is named."""
        user = await self.administration.user(name)
        asked = {
            field: self.parameter(field).strip() for field in ("service", "permission", "resource")
        }
        shown: dict[str, Any] = {
            "subject": user,
            "user_url": page_url("users", user.id),
            "why_url": self.url(user.id),
            "asked": asked,
            "verdict": "",
        }
        if not asked["service"]:
            return shown
        explanation = await self.administration.why(
            asked["service"],
            user.id,
            permission=asked["permission"],
            resource=asked["resource"],
        )
        return shown | _explained(explanation, user)


def _explained(explanation: Explanation, user: User) -> dict[str, Any]:
    age = explanation.cached_age
    return {
        "verdict": _verdict(explanation, user),
        "answer": Rows(
            id="answer",
            items=[
                Row(label=name, hints=(_value(value),))
                for name, value in explanation.permissions.items()
            ],
            empty="Nothing.",
        ),
        "sources": Rows(
            id="sources",
            items=[_source_row(source, user) for source in explanation.sources],
            empty="No role.",
        ),
        "providers": Rows(
            id="providers",
            items=[_provider_row(provider) for provider in explanation.providers],
            empty="No provider was asked.",
        ),
        "took": f"Asked just now, in {explanation.milliseconds:.1f} ms.",
        "cached": "This process remembers no answer."
        if age is None
        else f"This process remembers an answer, {age} s old.",
    }


def _verdict(explanation: Explanation, user: User) -> str:
    if user.disabled_at:
        return "Everything is denied: the user is disabled."
    if explanation.result != ANSWERED:
        return f"Everything is denied: {explanation.result.replace('_', ' ')}."
    if explanation.permission:
        verb = "granted" if explanation.granted else "not granted"
        by = f" by {explanation.decided_by}" if explanation.decided_by else ""
        return f"{explanation.permission}: {verb}{by}."
    return "This is what the service is told."


def _source_row(source: Source, user: User) -> Row:
    kind, _, name = source.holder.partition(":")
    holder = f"held by {user.username}" if kind == "user" else f"held by the group {name}"
    where = f"only in {source.resource}" if source.resource else "in the whole service"
    return Row(
        label=source.permission,
        hints=(f"by the role {source.role_id}", holder, where),
        url=page_url("roles", source.role_id),
    )


def _provider_row(provider: ProviderAnswer) -> Row:
    failed = provider.permissions is None
    said = provider.error if failed else json.dumps(provider.permissions, ensure_ascii=False)
    return Row(
        label=provider.name,
        hints=tuple(hint for hint in (said, f"{provider.milliseconds:.1f} ms") if hint),
        badge=provider.result if failed else "",
    )


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, ensure_ascii=False)
