"""A coroutine as permission provider: asks a directory over HTTP.

DIRECTORY_URL names the directory; it answers `GET <DIRECTORY_URL>/roles/<user id>` with a JSON
list of roles. A role counts for the service whose name it begins with: "wiki:editor".
"""

import json
import os
from typing import Any
from urllib.parse import quote

from tornado.httpclient import AsyncHTTPClient


async def get_permissions(service: str, userid: str) -> dict[str, Any]:
    """Return the user's roles in this service.

    An answer other than 200 raises, and whatever raises denies.
    """
    url = f"{os.environ['DIRECTORY_URL']}/roles/{quote(userid, safe='')}"
    response = await AsyncHTTPClient().fetch(url, request_timeout=2)
    prefix = f"{service}:"
    roles = [
        role.removeprefix(prefix) for role in json.loads(response.body) if role.startswith(prefix)
    ]
    return {"roles": roles}
