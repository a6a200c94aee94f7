"""What the users of the tests may do: a permission provider in ALLOWED_SERVICES."""

import asyncio
from typing import Any


async def get_permissions(service: str, userid: str, resource: str = "") -> dict[str, Any]:
    await asyncio.sleep(0)
    if service == "empty" or resource == "locked":
        return {}
    if resource:
        return {"reader": False, "writer": True, resource: True}
    return {"reader": True, "writer": sum(userid.encode()) % 2 == 0, "a,b c": True}
