"""Records as plain dictionaries and as JSON."""

import pytest

from tornado_auth.errors import InvalidValue, UnreadableRecord
from tornado_auth.storage.codec import (
    check_strs,
    from_document,
    from_json,
    to_document,
    to_json,
)
from tornado_auth.storage.contract_records import HARD_TEXTS, Thing, thing

FULL = thing(tags=("x", "y"), count=-(2**63), maybe_count=2**63 - 1, flag=True, maybe_text="")


@pytest.mark.parametrize("record", [thing(), FULL, *(thing(owner=text) for text in HARD_TEXTS)])
def test_a_record_comes_back_as_it_was(record: Thing) -> None:
    assert from_document(Thing, to_document(record)) == record
    assert from_json(Thing, [to_json(record)] * 2) == [record, record]


def test_a_member_that_an_older_program_did_not_write_has_its_default() -> None:
    document = {"id": "a", "name": "name of a", "badge": "badge of a"}
    assert from_document(Thing, document) == thing()
    assert from_json(Thing, [to_json(document)]) == [thing()]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"count": "secret"}, "Expected `int`, got `str` - at `\\$.count`"),
        ({"count": True}, "Expected `int`, got `bool`"),
        ({"count": 1.5}, "Expected `int`, got `float`"),
        ({"flag": 1}, "Expected `bool`, got `int`"),
        ({"name": None}, "Expected `str`, got `null`"),
        ({"tags": ["x", 1]}, "Expected `str`, got `int`"),
        ({"tags": "secret"}, "Expected `array`, got `str`"),
        ({"maybe_count": "secret"}, "Expected `int \\| null`, got `str`"),
    ],
)
def test_what_is_no_record_is_said_without_its_values(
    changes: dict[str, object], what: str
) -> None:
    document = to_document(thing()) | changes
    with pytest.raises(UnreadableRecord, match=f"^contract_things: {what}") as of_document:
        from_document(Thing, document)
    with pytest.raises(UnreadableRecord, match=f"^contract_things: {what}") as of_json:
        from_json(Thing, [to_json(thing()), to_json(document)])
    for raised in (of_document, of_json):
        assert "secret" not in str(raised.value)
        assert raised.value.__suppress_context__


@pytest.mark.parametrize("text", ["", "{", '{"id":"a"}', "[]", "null", '{"id":"secret" "b"}'])
def test_what_is_no_json_of_a_record_is_refused(text: str) -> None:
    with pytest.raises(UnreadableRecord, match=r"^contract_things: ") as raised:
        from_json(Thing, [text])
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("bad", [None, 1, b"a", ["a"], {"$gt": ""}, "a\0", "\ud800"])
def test_a_list_of_texts_holds_nothing_else(bad: object) -> None:
    check_strs(["a", "b"])
    with pytest.raises(InvalidValue):
        check_strs(["a", bad, "b"])
