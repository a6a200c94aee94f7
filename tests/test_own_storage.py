"""The example of a store of one's own, held to what every store is held to."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tornado_auth.errors import StorageUnavailable
from tornado_auth.storage import Backend
from tornado_auth.storage.contract import StorageContract
from tornado_auth.storage.contract_records import Thing, thing

EXAMPLE = Path(__file__).parent.parent / "examples" / "own_storage.py"
JournalBackend: Any = runpy.run_path(str(EXAMPLE))["JournalBackend"]


class TestJournal(StorageContract):
    @pytest.fixture
    def make_backend(self, tmp_path: Path) -> Callable[[], Backend]:
        backend = JournalBackend(tmp_path / "journal.jsonl")
        return lambda: backend

    async def test_what_was_written_is_there_after_a_restart(self, tmp_path: Path) -> None:
        path = tmp_path / "other.jsonl"
        for number in range(2):
            backend = JournalBackend(path)
            await backend.open([Thing])
            things = backend.collection(Thing)
            await things.insert(thing(str(number)))
            await things.insert(thing("gone"))
            await things.delete("gone")
            await backend.close()
            # The power goes while a line is being written.
            path.write_text(path.read_text() + '["things", {"0": nu')
        backend = JournalBackend(path)
        await backend.open([Thing])
        assert await backend.collection(Thing).find() == [thing("0"), thing("1")]
        assert "gone" not in path.read_text()
        assert path.stat().st_mode & 0o777 == 0o600
        await backend.close()

    async def test_a_second_process_is_refused(self, tmp_path: Path) -> None:
        first, second = (JournalBackend(tmp_path / "other.jsonl") for _ in range(2))
        await first.open([Thing])
        with pytest.raises(StorageUnavailable, match="another process"):
            await second.open([Thing])
        await second.close()
        await first.close()
        await second.open([Thing])
        await second.close()

    async def test_a_disk_that_is_full_ends_all_writing(
        self, backend: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(lines: str) -> None:
            raise OSError("No space left on device")

        await backend.collection(Thing).insert(thing("a"))
        with monkeypatch.context() as context:
            context.setattr(backend, "_append", fail)
            with pytest.raises(StorageUnavailable, match="No space left"):
                await backend.collection(Thing).insert(thing("b"))
        with pytest.raises(StorageUnavailable, match="not open"):
            await backend.collection(Thing).insert(thing("c"))
        assert await backend.collection(Thing).find() == [thing("a")]
