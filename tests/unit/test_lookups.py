"""Which look-ups of a build had no result, and which of them have one later."""

from __future__ import annotations

from pathlib import Path

from op_builder.cache import lookups
from op_builder.cache.lookups import Search


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def make(folder: Path, *names: str) -> tuple[dict[str, object], list[str]]:
    """Record a search in ``one`` and ``two``, where ``two/a.h`` and ``two/x/b.h`` were read."""
    touch(folder / "two/a.h", folder / "two/x/b.h")
    read = [f"{folder}/two/a.h", f"{folder}/two/x/b.h"]
    search = Search((f"{folder}/one", f"{folder}/two/"), names)
    return lookups.record(search, read, str), read


def difference(found: dict[str, object], read: list[str]) -> str | None:
    return lookups.difference(found, lookups.others(found, read, str), str)


def test_only_names_that_were_looked_up_matter(tmp_path: Path) -> None:
    found, read = make(tmp_path, "optional.h")
    assert found["others"] == [f"{tmp_path}/two/x/"]
    assert lookups.watched(found) == [f"{tmp_path}/one", f"{tmp_path}/two/", f"{tmp_path}/two/x"]
    touch(tmp_path / "one/c.h", tmp_path / "one/b.h", tmp_path / "one/x/c.h")
    assert difference(found, read) is None
    for name in ("one/a.h", "one/x/b.h", "two/optional.h", "two/a.h.gch"):
        touch(tmp_path / name)
        assert difference(found, read) == (
            f"{tmp_path}/{name}, which a build would look up, has appeared"
        )
        (tmp_path / name).unlink()
    assert difference(found, read) is None


def test_a_file_that_existed_and_is_gone_matters(tmp_path: Path) -> None:
    touch(tmp_path / "one/optional.h")
    found, read = make(tmp_path, "optional.h")
    assert difference(found, read) is None
    (tmp_path / "one/optional.h").unlink()
    assert "optional.h, which a build would look up, has disappeared" in str(
        difference(found, read)
    )


def test_a_file_that_was_found_beside_another_is_looked_up_by_its_own_name(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere/c.h")
    read = [f"{tmp_path}/elsewhere/c.h"]
    found = lookups.record(Search((f"{tmp_path}/one",), ()), read, str)
    assert found["others"] == []
    touch(tmp_path / "one/c.h")
    assert "one/c.h" in str(difference(found, read))
