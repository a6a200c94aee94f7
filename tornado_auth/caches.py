"""A bounded cache for values that are cheap to lose.

Owns the bound, nothing else: whoever stores a value also decides how long it may be used.
"""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """Keep at most `size` of the entries used last, in two generations.

    When the young generation is half of `size`, the old one is dropped and the young takes its
    place; a hit in the old one moves to the young. Unlike an LRU, a hit there writes nothing.
    `hits` and `misses` count the lookups.
    """

    def __init__(self, size: int) -> None:
        self._half = max(1, size // 2)
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self.hits = 0
        self.misses = 0

    def get(self, key: K) -> V | None:
        """Return the value, or None if it was never there or had to make room."""
        value = self._young.get(key)
        if value is None and (value := self._old.pop(key, None)) is not None:
            self.put(key, value)
        if value is None:
            self.misses += 1
        else:
            self.hits += 1
        return value

    def put(self, key: K, value: V) -> None:
        """Store a value."""
        if len(self._young) >= self._half and key not in self._young:
            self._young, self._old = {}, self._young
        self._young[key] = value

    def pop(self, key: K) -> None:
        """Forget a value if it is there."""
        self._young.pop(key, None)
        self._old.pop(key, None)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
