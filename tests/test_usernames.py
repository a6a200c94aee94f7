"""What may be a user name, which are the same, which look the same."""

import itertools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_auth.errors import InvalidUsername
from tornado_auth.usernames import _PROTOTYPES, MAX_LENGTH, skeleton, suggest, username_key

ANY_TEXT = st.text(st.characters(categories=None), max_size=80)  # lone surrogates too


def key_or_none(name: str) -> str | None:
    try:
        return username_key(name)
    except InvalidUsername as error:
        assert str(error)  # noqa: PT017 - any other exception must come through
        return None


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Bob", "bob"),
        ("\uff22\uff4f\uff42", "bob"),
        ("Stra\u00dfe", "strasse"),
        ("Jose\u0301", "jos\u00e9"),
        ("\ufb01sh", "fish"),
        ("\u0410\u043d\u043d\u0430", "\u0430\u043d\u043d\u0430"),
        (
            "\u0393\u0399\u03a9\u03a1\u0393\u039f\u03a3",
            "\u03b3\u03b9\u03c9\u03c1\u03b3\u03bf\u03c3",
        ),
        ("\u7530\u4e2d\u592a\u90ce", "\u7530\u4e2d\u592a\u90ce"),
        ("\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd"),
        ("_a.b-c_", "_a.b-c_"),
        ("123", "123"),
        ("x" * MAX_LENGTH, "x" * MAX_LENGTH),
    ],
)
# S146
def test_names_that_differ_in_case_or_width_alone_have_one_key(name, key):
    assert username_key(name) == key


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "3 to 64"),
        ("ab", "3 to 64"),
        ("x" * (MAX_LENGTH + 1), "3 to 64"),
        ("x" * 1_000_000, "3 to 64"),
        ("bob@example.org", "no @"),
        ("bob\uff20example.org", "no @"),
        ("bob smith", "only letters"),
        ("bob\u00a0smith", "only letters"),
        ("bob\0", "only letters"),
        ("bob\n", "only letters"),
        ("bob\u200b", "only letters"),
        ("bo\u200db", "only letters"),
        ("bo\u00adb", "only letters"),
        ("\u202ebob", "only letters"),
        ("bob\u200f", "only letters"),
        ("bob\ud800", "only letters"),
        ("bob/../etc", "only letters"),
        ("bob%00", "only letters"),
        ("<b>bob", "only letters"),
        ("bob\u2800", "only letters"),
        ("bob\U0001f600", "only letters"),
        ("bob\ue000", "only letters"),
        (".bob", "begin or end"),
        ("bob.", "begin or end"),
        ("-bob", "begin or end"),
        ("bob-", "begin or end"),
        ("___", "at least one letter"),
        ("\u0301bob", "accent"),
        ("bo" + "\u0316\u0317\u0318\u0319\u031c" + "b", "accent"),
        ("\u3164\u3164\u3164", "cannot stand together"),
        ("bob\u115f", "cannot stand together"),
        ("bob\u034f", "cannot stand together"),
        ("bob\ufe0f", "cannot stand together"),
        ("abc\u05d0", "cannot stand together"),
        ("abc\u0660\u06f0", "cannot stand together"),
        ("admin", "reserved"),
    ],
)
# S146 S147
def test_what_may_not_be_a_user_name_is_refused_with_the_rule(name, rule):
    with pytest.raises(InvalidUsername, match=rule):
        username_key(name)


@pytest.mark.parametrize(
    "name",
    [
        "Admin",
        "\u0430dmin",
        "\uff41dmin",
        "adm\u0131n",
        "ADM\u0130N",
        "adrnin",
        "\u0430\u217emin",
        "admin\u0301",
        "\u1ea1dmin",
        "r00t",
        "\u0433\u043eot",
        "\u0405upport",
        "l0gin",
        "o\u03b1uth",
        "api",
        "logout",
        "null",
        "undefined",
        "www",
        "system",
        "security",
        "anonymous",
    ],
)
# S146 S147
def test_a_reserved_name_is_reserved_in_every_disguise(name):
    with pytest.raises(InvalidUsername, match="reserved"):
        username_key(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bob", "b0b"),
        ("bill", "bi1l"),
        ("ann", "\u0430nn"),
        ("modern", "modem"),
        ("scope", "\u0455\u0441\u043e\u0440\u0435"),
        ("jose", "jos\u00e9"),
        ("garcon", "gar\u00e7on"),
        ("oslo", "\u00f8slo"),
        ("paris", "p\u03b1ris"),
        ("aesop", "\u00e6sop"),
        ("bob-1", "bob\u2010l"),
        ("\u05d5\u05d5\u05d5", "lll"),
    ],
)
# S146
def test_lookalikes_share_a_skeleton(one, other):
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bob", "bop"),
        ("ali", "all"),
        ("bob", "bobb"),
        ("bob-smith", "bob_smith"),
        ("\u7530\u4e2d\u592a", "\u7530\u4e2d\u72ac"),
        ("\u304b\u304b\u304b", "\u304c\u304b\u304b"),
        ("\u0e01\u0e34\u0e19", "\u0e01\u0e37\u0e19"),
    ],
)
def test_different_names_do_not_share_a_skeleton(one, other):
    assert skeleton(one) != skeleton(other)


def test_the_skeleton_of_every_character_is_its_own_skeleton():
    cased = {c for c in map(chr, range(sys.maxunicode + 1)) if c.casefold() != c}
    changing = " ".join(sorted(cased | set(map(chr, _PROTOTYPES))))
    bare = skeleton(changing)
    assert skeleton(bare) == bare != changing


@given(ANY_TEXT)
def test_a_skeleton_is_its_own_skeleton(text):
    assert skeleton(skeleton(text)) == skeleton(text)


@given(ANY_TEXT)
def test_any_text_is_a_user_name_or_breaks_a_rule(text):
    key = key_or_none(text)
    if key is not None:
        assert username_key(key) == key
        assert skeleton(key)
        assert key.encode()


@given(st.lists(ANY_TEXT, max_size=4))
def test_whatever_the_hints_the_suggestions_are_user_names(hints):
    for name in itertools.islice(suggest(hints), 15):
        assert username_key(name) == name


def first(*hints: str, count: int = 1) -> list[str]:
    return list(itertools.islice(suggest(hints), count))


def test_a_suggestion_is_the_login_then_numbered_then_random():
    names = first("Bob", "robert@example.org", count=12)
    assert names[:9] == ["bob", *(f"bob{n}" for n in range(2, 10))]
    assert len(set(names)) == 12
    assert all(name.startswith("bob-") and len(name) == 13 for name in names[9:])


@pytest.mark.parametrize(
    ("hints", "name"),
    [
        (["", "ann.smith+spam@example.org"], "ann.smith"),
        (["", "", "Ann Smith"], "ann-smith"),
        (["@ann"], "ann"),
        (["ann@example.org"], "ann"),
        (["-Ann!-"], "ann"),
        (["admin", "ann@example.org"], "ann"),
        (["x", "root@example.org", "Ann"], "ann"),
        (["a\u200bnn\0"], "ann"),
        (["\u202e\u05d0ann"], "user-"),
        (["ann" * 100], ("ann" * 100)[:48]),
        ([], "user-"),
        (["!!!"], "user-"),
        (["admin"], "user-"),
    ],
)
def test_suggestions_come_from_the_first_hint_that_gives_a_name(hints, name):
    suggested = first(*hints)[0]
    assert suggested == name or (name == "user-" and suggested.startswith("user-"))


def test_suggestions_without_a_hint_are_random():
    assert len(set(first(count=20))) == 20
