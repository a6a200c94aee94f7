"""A permission provider for dgp-oauth2, which takes no coroutines."""


def get_permissions(service, userid):
    """Allow everybody to read."""
    return {"read": True, "write": False}
