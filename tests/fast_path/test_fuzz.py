"""The differential fuzz test on a small scale: `python -m tests.fast_path.fuzz` does more."""

import asyncio

import pytest

from tests.fast_path.fuzz import WORLDS, Outcome, run_chunk
from tornado_auth.fast_path import front

REQUESTS = 1_500


@pytest.fixture(autouse=True)
def never_block() -> None:
    """Watch nothing: it would take longer than all the rest."""


# S137
async def test_with_the_fast_path_or_without_the_answers_agree(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(front, "KEEP_ALIVE", 2.0)
    total = Outcome()
    number = REQUESTS // len(WORLDS)
    for outcome in await asyncio.gather(*(run_chunk(7, c, number) for c in range(len(WORLDS)))):
        total.add(outcome)
    assert total.disagreements == []
    assert total.generated == REQUESTS
    assert 0.3 < total.plain / REQUESTS < 0.8
    assert total.sampled > 10
    assert set(total.statuses) == {200, 401, 403}
