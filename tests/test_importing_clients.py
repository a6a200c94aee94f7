"""The example that takes over clients of others, with what mongoexport writes of them."""

import json
from dataclasses import replace

from tests.oauth2.world import answer_of
from tests.running_examples import Examples, examples
from tests.service import ServiceFactory

__all__ = ["examples"]

CALLBACK = "https://app.example/callback"
OF_PROAUTH2 = {
    "_id": {"$oid": "5f1e"},
    "client_id": "ab12cd34" * 4,
    "client_secret": "ef56" * 16,
    "name": "test_app",
    "redirect_uri": CALLBACK,
}
OF_PYTHON_OAUTH2 = {
    "_id": {"$oid": "5f1f"},
    "identifier": "abc",
    "secret": "xyz",
    "authorized_grants": ["authorization_code", "refresh_token", "implicit", "password"],
    "authorized_response_types": None,
    "redirect_uris": [CALLBACK, "http://127.0.0.1:8081/callback"],
}
IN_CLEAR = {**OF_PYTHON_OAUTH2, "identifier": "old", "redirect_uris": ["http://app.example/"]}


async def test_clients_of_others_go_on_with_their_ids_and_secrets(
    examples: Examples, make_service: ServiceFactory
) -> None:
    lines = [json.dumps(one) for one in (OF_PROAUTH2, OF_PYTHON_OAUTH2, IN_CLEAR, OF_PROAUTH2)]
    said = examples.run("import_clients", input="\n".join(lines) + "\n").splitlines()
    first = str(OF_PROAUTH2["client_id"])
    assert said[:2] == [f"{first}: taken over", "abc: taken over"]
    assert said[2].startswith("old: not taken over: ")
    assert said[3].startswith(f"{first}: not taken over: ")

    service = await make_service(DATABASE_URL=examples.environ["DATABASE_URL"])
    records = {client.id: client for client in await service.server.storage.clients.find()}
    assert records["abc"].grant_types == ("authorization_code", "refresh_token")
    ann = {"tornado_auth": await service.sign_in("ann")}
    for client_id, secret in ((first, "ef56" * 16), ("abc", "xyz")):
        await service.server.storage.clients.replace(replace(records[client_id], is_trusted=True))
        request = (
            f"/oauth2/authorize?response_type=code&client_id={client_id}"
            f"&redirect_uri={CALLBACK}&scope=openid&state=s"
        )
        code = answer_of(await service.fetch(request, cookies=ann))["code"]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "client_id": client_id,
        }
        answers = [
            await service.fetch("/oauth2/token", form={**form, "client_secret": shown})
            for shown in ("wrong", secret)
        ]
        assert [answer.code for answer in answers] == [401, 200]
