"""Take over the applications of proauth2 or the clients of python-oauth2.

Standard input has one JSON object a line, as mongoexport writes their collections:

    mongoexport --db proauth2 --collection applications | python examples/import_clients.py

The settings are those of `tornado-auth`. A client keeps its id, and its secret until that is
rotated: it was stored in clear, so rotate it soon (`tornado-auth clients rotate-secret`). Codes and
tokens are not taken over: people sign in once more.
"""

import asyncio
import json
import os
import sys
from typing import Any

from tornado_auth.digests import digest
from tornado_auth.errors import AlreadyExists
from tornado_auth.models import Client
from tornado_auth.oauth2.errors import InvalidRedirectURI
from tornado_auth.oauth2.redirect_uris import check_redirect_uri
from tornado_auth.oauth2.values import CLIENT_CREDENTIALS, CODE, REFRESH, SECRET_POST
from tornado_auth.server import AuthServer
from tornado_auth.settings import load_settings

GRANT_TYPES = (CODE, REFRESH, CLIENT_CREDENTIALS)


def client_of(old: dict[str, Any], *, scope: tuple[str, ...], now: int) -> Client:
    """Return our record for one of theirs; raises InvalidRedirectURI."""
    redirect_uris = tuple(old.get("redirect_uris") or [old.get("redirect_uri")])
    for uri in redirect_uris:
        check_redirect_uri(uri or "", application_type="web")
    # There, nothing said meant everything. "implicit" and "password" have no place here.
    granted = old.get("authorized_grants") or GRANT_TYPES[:2]
    return Client(
        id=old.get("client_id") or old["identifier"],
        client_name=old.get("name") or "",
        redirect_uris=redirect_uris,
        grant_types=tuple(name for name in GRANT_TYPES if name in granted),
        scope=scope,
        token_endpoint_auth_method=SECRET_POST,
        secret_digests=(digest(old.get("client_secret") or old["secret"]),),
        require_pkce=False,  # they know nothing of it; switch it on when they do
        created_at=now,
    )


async def main() -> None:
    """Read all lines, and say of each client what became of it."""
    server = AuthServer(load_settings(os.environ))
    await server.start()
    try:
        scope = tuple(name for name in server.oauth2.scopes.supported if name != "offline_access")
        for line in sys.stdin:
            old = json.loads(line)
            try:
                client = client_of(old, scope=scope, now=server.now())
                await server.storage.clients.insert(client)
            except (AlreadyExists, InvalidRedirectURI) as error:
                print(f"{old.get('client_id') or old['identifier']}: not taken over: {error}")
            else:
                print(f"{client.id}: taken over")
    finally:
        await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
