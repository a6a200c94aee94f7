"""What the account page says about the ways to sign in, over plain HTTP."""

import pytest

from tests.service import Service


@pytest.mark.parametrize(
    ("attributes", "shown"),
    [
        ({"username": "Octo-Cat"}, "Octo-Cat"),
        ({"username": "", "email": "octo@example.org"}, "octo@example.org"),
        ({"username": "", "email": ""}, "10897321455"),
    ],
)
async def test_a_way_to_sign_in_is_shown_by_what_its_owner_knows_it_by(
    service: Service, attributes: dict[str, str], shown: str
) -> None:
    token = await service.sign_in(provider="google", subject="10897321455", **attributes)
    page = (await service.fetch("/auth/account", cookies={"tornado_auth": token})).body.decode()
    assert f"<bdi>{shown}</bdi> · last used" in page
