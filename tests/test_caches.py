"""The bounded cache."""

from tornado_auth.caches import BoundedCache


def test_a_cache_never_holds_more_than_its_size() -> None:
    cache: BoundedCache[int, int] = BoundedCache(10)
    for number in range(1000):
        cache.put(number, number)
        assert len(cache) <= 10
    assert cache.get(999) == 999
    assert cache.get(0) is None


def test_what_is_used_stays() -> None:
    cache: BoundedCache[int, str] = BoundedCache(10)
    cache.put(0, "kept")
    for number in range(1, 100):
        assert cache.get(0) == "kept"
        cache.put(number, "other")


def test_a_forgotten_entry_is_gone_from_both_generations() -> None:
    cache: BoundedCache[int, str] = BoundedCache(4)
    for number in range(3):
        cache.put(number, "x")
    for number in range(3):
        cache.pop(number)
        assert cache.get(number) is None
    assert len(cache) == 0


def test_a_value_is_replaced() -> None:
    cache: BoundedCache[int, str] = BoundedCache(4)
    cache.put(1, "old")
    cache.put(1, "new")
    assert cache.get(1) == "new"
    assert len(cache) == 1


def test_lookups_are_counted() -> None:
    cache: BoundedCache[int, str] = BoundedCache(4)
    for number in range(3):  # the first one moves to the old generation
        cache.put(number, "x")
    for number in (0, 0, 1, 2, 5, 5):
        cache.get(number)
    assert (cache.hits, cache.misses) == (4, 2)
    assert len(cache) == 3


def test_those_used_last_stay_whatever_comes_once() -> None:
    """An entry is safe while fewer than half of the size come between two uses."""
    cache: BoundedCache[int, int] = BoundedCache(20)
    cache.put(-1, -1)
    for number in range(1000):
        cache.put(number, number)
        if number % 9 == 0:
            assert cache.get(-1) == -1
    for number in range(2000, 2020):
        cache.put(number, number)
    assert cache.get(-1) is None


def test_a_cache_of_one_is_a_cache() -> None:
    cache: BoundedCache[int, int] = BoundedCache(1)
    for number in range(5):
        cache.put(number, number)
        assert cache.get(number) == number
        assert len(cache) <= 2
