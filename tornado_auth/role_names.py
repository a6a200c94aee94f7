"""What roles, groups, services, permissions and resources may be called.

Owns the rules alone, so that an id made of several names can be taken apart again: no name in it
holds the `:` or `|` that stands between them. Never reads a store.
"""

import re

from tornado_auth.errors import InvalidRequest

# Not `..`, which addresses take for the folder above, nor `-x`, which shells take for an option.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}", re.ASCII)
PERMISSION = re.compile(r"[A-Za-z0-9._:/@+-]{1,128}", re.ASCII)
HOLDER = re.compile(
    rf"user:(?P<user>{PERMISSION.pattern})|group:(?P<group>{NAME.pattern})", re.ASCII
)
_TEXT = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
UPSTREAM = re.compile(_TEXT + "{1,256}")
DESCRIPTION = re.compile(_TEXT + "{0,500}")

MAX_PERMISSIONS = 100  # of one role


def check_name(name: str, what: str) -> str:
    """Return the name of a service, role, group or login provider; raises InvalidRequest."""
    rule = "1 to 64 of A-Z, a-z, 0-9 and . _ @ + -, first a letter, a digit or _"
    return _check(NAME, name, f"The {what} is not usable: {rule}")


def check_permission(name: str, what: str = "permission") -> str:
    """Return the name of a permission or resource; raises InvalidRequest."""
    rule = "1 to 128 of A-Z, a-z, 0-9 and . _ : / @ + -"
    return _check(PERMISSION, name, f"The {what} is not usable: {rule}")


def check_permissions(names: object) -> tuple[str, ...]:
    """Return the permissions of a role, sorted and each once; raises InvalidRequest."""
    if not isinstance(names, list | tuple | set | frozenset):
        raise InvalidRequest("The permissions are not a list.")
    if len(names) > MAX_PERMISSIONS:
        raise InvalidRequest(f"A role has at most {MAX_PERMISSIONS} permissions. Make two of it.")
    return tuple(sorted({check_permission(name) for name in names}))


def check_resource(name: str) -> str:
    """Return the name of a resource, or "" for none; raises InvalidRequest."""
    return name if name == "" else check_permission(name, "resource")


def check_upstream(name: str) -> str:
    """Return the name of a login provider's group; raises InvalidRequest."""
    return _check(UPSTREAM, name, "The provider's group is not usable: 1 to 256 characters")


def check_description(text: str) -> str:
    """Return a description; raises InvalidRequest."""
    return _check(DESCRIPTION, text, "The description is not one line of at most 500 characters")


def check_holder(holder: str) -> tuple[str, str]:
    """Return (user id, "") for "user:<id>", ("", name) for "group:<name>"; or InvalidRequest."""
    match = HOLDER.fullmatch(holder) if isinstance(holder, str) else None
    if match is None:
        raise InvalidRequest("The holder is not usable: user:<id> or group:<name>.")
    return match["user"] or "", match["group"] or ""


def check_role_id(role_id: str) -> tuple[str, str]:
    """Return (service, name) for "<service>:<name>"; raises InvalidRequest."""
    service, _, name = role_id.partition(":") if isinstance(role_id, str) else ("", "", "")
    return check_name(service, "service of the role"), check_name(name, "name of the role")


def check_assignment_id(assignment_id: str) -> tuple[str, str]:
    """Return (user id or "", service) for "<holder>|<role id>|<resource>"; or InvalidRequest."""
    parts = assignment_id.split("|") if isinstance(assignment_id, str) else []
    if len(parts) != 3:
        raise InvalidRequest("There can be no assignment of this id.")
    holder, role_id, resource = parts
    check_resource(resource)
    return check_holder(holder)[0], check_role_id(role_id)[0]


def _check(rule: re.Pattern[str], name: str, problem: str) -> str:
    if not isinstance(name, str) or not rule.fullmatch(name):
        raise InvalidRequest(f"{problem}.")
    return name
