"""Grant types that an application brings along."""

import json

import pytest

from tests.oauth2.world import World
from tornado_auth.oauth2.errors import InvalidGrant
from tornado_auth.oauth2.token import TokenEndpoint
from tornado_auth.oauth2.values import CODE, Authorization, TokenRequest

NAME = "urn:example:badge"


class BadgeGrant:
    """Knows one badge; for "jammed", its reader breaks."""

    def __init__(self, name: str = NAME) -> None:
        self.name = name

    async def authorize(self, request: TokenRequest) -> Authorization:
        badge = request.parameters.require("badge")
        if badge == "jammed":
            raise ZeroDivisionError("the reader of badges is jammed")
        if badge != "4711":
            raise InvalidGrant("There is no such badge.")
        return Authorization(grant_type=self.name, client=request.client, scope=())


@pytest.fixture
def badges(world: World) -> BadgeGrant:
    grant, oauth2 = BadgeGrant(), world.server.oauth2
    oauth2.token_endpoint = TokenEndpoint([grant], dpop=oauth2.dpop, issuer=oauth2.issuer)
    return grant


async def test_it_is_for_clients_that_are_registered_for_it(
    world: World, badges: BadgeGrant
) -> None:
    client, another = await world.client(grant_types=(NAME,)), await world.client()
    given = await world.token(client, grant_type=NAME, badge="4711")
    assert given.code == 200
    for who, badge, error in (
        (client, "4712", "invalid_grant"),
        (client, "", "invalid_request"),
        (another, "4711", "unauthorized_client"),
    ):
        refused = await world.token(who, grant_type=NAME, badge=badge)
        assert json.loads(refused.body)["error"] == error


# O21
async def test_what_goes_wrong_in_it_is_logged_and_not_told(
    world: World, badges: BadgeGrant, caplog: pytest.LogCaptureFixture
) -> None:
    client = await world.client(grant_types=(NAME,))
    broken = await world.token(client, grant_type=NAME, badge="jammed")
    assert broken.code == 500
    assert json.loads(broken.body)["error"] == "internal_server_error"
    assert b"jammed" not in broken.body
    [record] = [one for one in caplog.records if one.getMessage() == "request_failed"]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
    assert (await world.token(client, grant_type=NAME, badge="4711")).code == 200


# S039
async def test_it_gives_no_tokens_of_a_user_that_no_grant_could_end(world: World) -> None:
    session = await world.service.session()
    authorization = Authorization(
        grant_type=NAME,
        client=await world.client(),
        scope=("openid",),
        user=await world.storage.users.get(session.user_id),
    )
    with pytest.raises(ValueError, match="hang on a grant"):
        await world.server.oauth2.issuer.issue(authorization)


async def test_one_with_the_name_of_another_takes_its_place(world: World) -> None:
    oauth2 = world.server.oauth2
    both = [BadgeGrant(CODE), BadgeGrant(), BadgeGrant(CODE)]
    oauth2.token_endpoint = TokenEndpoint(both, dpop=oauth2.dpop, issuer=oauth2.issuer)
    assert oauth2.token_endpoint.grant_types == [CODE, NAME]
    answer = await world.token(await world.client(), grant_type=CODE, badge="4711")
    assert answer.code == 200
