"""A plain permission provider: reads a JSON file that people edit by hand.

The file, named by TEAMS_FILE, holds for each service the user ids and what they may do:

    {"wiki": {"b7c1...": {"pages": "edit"}}}

Reading a file blocks, so this function is not `async def`: it runs on a thread.
"""

import json
import os
from pathlib import Path
from typing import Any


def get_permissions(service: str, userid: str) -> dict[str, Any]:
    """Return what the file says of this user; whoever is not in it may do nothing."""
    teams = json.loads(Path(os.environ["TEAMS_FILE"]).read_text(encoding="utf-8"))
    permissions: dict[str, Any] = teams.get(service, {}).get(userid, {})
    return permissions
