"""What a service's answer about a user's permissions grants.

Owns the rule that nothing but `true` grants. Never asks anybody.
"""


def granted_names(permissions: object) -> frozenset[str]:
    """Return the names in a dict of permissions whose value is exactly true."""
    if not isinstance(permissions, dict):
        return frozenset()
    return frozenset(name for name, value in permissions.items() if value is True)
