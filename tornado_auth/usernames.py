"""User names: what may be one, which two are the same, and which two look the same.

Owns the key (PRECIS UsernameCaseMapped, RFC 8265 §3.3, over NFKC and case folding) and the skeleton
(UTS #39 §4). A user name is stored and shown as its key, so that nobody reads a capital `I` as `l`.
Pure functions: never knows who has which name; `accounts.py` does.
"""

import json
import secrets
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib import resources
from itertools import groupby

from precis_i18n import get_profile

from tornado_auth.errors import InvalidUsername

MIN_LENGTH = 3
MAX_LENGTH = 64
MAX_MARKS_IN_A_ROW = 4  # UTS #39 §5.4 takes more for an attack

_RESERVED_WORDS = """
abuse access account accounts admin administrator administrators admins all anonymous api app apps
assets auth authorize autoconfig autodiscover billing broadcasthost callback check client clients
config contact daemon dashboard default deleted docs email everyone favicon.ico ftp guest guests
health help home host hostmaster http https imap index info internal invite isatap jwks.json jwt
legal local localdomain localhost login logout mail mailer-daemon mailerdaemon master me media
metrics mod moderator moderators myself nil nobody none noreply no-reply null oauth oauth2 oidc
official operator operators owner password payment payments permissions pop3 postmaster privacy
profile public register registration resolve robots.txt root sales search security self service
services session sessions settings setup signin sign-in signout sign-out signup sign-up smtp ssl sso
ssladmin ssladministrator sslwebmaster staff static status store subdomain sudo superuser support
sysadmin sysadministrator system terms token tokens true false undefined unknown update user
userinfo username users uucp verify verified webmail webmaster well-known wpad www you yourself
"""

_PRECIS = get_profile("UsernameCaseMapped:CaseFold")
_PUNCTUATION = "._-"
_ALLOWED_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd"})
_LONGEST_INPUT = 4 * MAX_LENGTH  # composing (NFKC) makes a text shorter, never by more than this
_LONGEST_BASE = MAX_LENGTH - 16  # leaves room for a suffix
_LAST_COUNTED_SUFFIX = 9
_SKELETON_PASSES = 8


def _fold(text: str) -> str:
    """Return NFKC and case folding, twice: once is not stable for every character."""
    for _ in range(2):
        text = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", text)


def _is_allowed(character: str) -> bool:
    return character in _PUNCTUATION or unicodedata.category(character) in _ALLOWED_CATEGORIES


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _longest_run_of_marks(text: str) -> int:
    runs = groupby(unicodedata.normalize("NFD", text), _is_mark)
    return max((len(list(run)) for marks, run in runs if marks), default=0)


def _broken_rule(key: str) -> str | None:
    """Name the first rule of the house that a folded name breaks."""
    if not MIN_LENGTH <= len(key) <= MAX_LENGTH:
        return f"A user name has {MIN_LENGTH} to {MAX_LENGTH} characters."
    if "@" in key:
        return "A user name has no @, so that nobody takes it for an e-mail address."
    if not all(map(_is_allowed, key)):
        return "A user name has only letters, digits, dots, underscores and hyphens."
    if key[0] in ".-" or key[-1] in ".-":
        return "A user name does not begin or end with a dot or a hyphen."
    if not any(character.isalnum() for character in key):
        return "A user name has at least one letter or digit."
    if _is_mark(key[0]) or _longest_run_of_marks(key) > MAX_MARKS_IN_A_ROW:
        return "A user name does not begin with an accent or pile accents up."
    return None


def username_key(name: str) -> str:
    """Return the one form in which a user name is stored, shown and compared.

    Raises InvalidUsername, with a sentence for people, for what may not be a user name.
    """
    if len(name) > _LONGEST_INPUT:
        raise InvalidUsername(f"A user name has {MIN_LENGTH} to {MAX_LENGTH} characters.")
    key = _fold(name)
    broken = _broken_rule(key)
    if broken:
        raise InvalidUsername(broken)
    try:
        enforced: str = _PRECIS.enforce(key)
    except UnicodeError:
        raise InvalidUsername("These characters cannot stand together in a user name.") from None
    if skeleton(enforced) in _RESERVED:
        raise InvalidUsername("This user name is reserved.")
    return enforced


def _bare(text: str) -> str:
    """Remove the direction marks with which the table wraps right-to-left characters."""
    return text.replace("\u200e", "")


def _rank(text: str, neighbours: int) -> tuple[bool, bool, bool, str]:
    """Order lookalikes so that the prototype is the greatest.

    Sources are single characters. Of two alone with each other either will do: prefer ASCII.
    """
    return neighbours > 1, len(text) > 1, text.isascii(), text


def _read_prototypes() -> dict[int, str]:
    """Read the table of confusables as one prototype for each character.

    The package lists each pair of Unicode's confusables.txt in both directions. In that file every
    source has one prototype, so each set of lookalikes is a star, and its hub is the prototype.
    """
    file = resources.files("confusable_homoglyphs").joinpath("confusables.json")
    lookalikes: defaultdict[str, set[str]] = defaultdict(set)
    for character, entries in json.loads(file.read_text("utf-8")).items():
        lookalikes[_bare(character)].update(_bare(entry["c"]) for entry in entries)
    prototypes = {}
    for character, others in lookalikes.items():
        hub = max((character, *others), key=lambda text: _rank(text, len(lookalikes[text])))
        if len(character) == 1 and hub != character:
            prototypes[ord(character)] = hub
    return prototypes


_PROTOTYPES = _read_prototypes()  # here, because reading a file would hold the event loop up later


def skeleton(key: str) -> str:
    """Return what two user names share when one can be taken for the other (UTS #39 §4).

    Goes further than the standard in two points: case folding, and no accents (U+0300..U+036F).
    """
    for _ in range(_SKELETON_PASSES):
        decomposed = unicodedata.normalize("NFD", key)
        replaced = unicodedata.normalize("NFD", decomposed.translate(_PROTOTYPES))
        folded = unicodedata.normalize("NFD", replaced.casefold())
        bare = "".join(c for c in folded if not "\u0300" <= c <= "\u036f")
        if bare == key:
            break
        key = bare  # folding can lead to a character that has a prototype of its own
    return key


_RESERVED = frozenset(map(skeleton, _RESERVED_WORDS.split()))


def _is_valid(name: str) -> bool:
    try:
        username_key(name)
    except InvalidUsername:
        return False
    return True


def _clean(hint: str) -> str:
    """Turn a login, an e-mail address or a person's name into a user name; empty if none is left.

    Whatever comes out still is a user name with a number behind it.
    """
    text = hint.strip().lstrip("@").partition("@")[0].partition("+")[0]
    text = "-".join(_fold(text[:_LONGEST_INPUT]).split())
    text = "".join(filter(_is_allowed, text)).strip(".-")[:_LONGEST_BASE].rstrip(".-")
    return text if _is_valid(text) and _is_valid(f"{text}-2") else ""


def suggest(hints: Iterable[str]) -> Iterator[str]:
    """Yield user names without end, made from the first hint that gives a valid one.

    First the name alone, then with 2 to 9, then with a random number.
    """
    base = next(filter(None, map(_clean, hints)), "")
    if base:
        yield base
        yield from filter(_is_valid, (f"{base}{n}" for n in range(2, _LAST_COUNTED_SUFFIX + 1)))
    while True:
        yield f"{base or 'user'}-{secrets.randbelow(10**9):09}"
