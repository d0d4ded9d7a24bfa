"""Listing, pruning and clearing; only files of this project are ever deleted."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from cache_entries import Shelf

from op_builder.cache import maintenance, store
from op_builder.cache.layers import Layer
from op_builder.errors import CacheError
from op_builder.system.private_folder import CACHEDIR_TAG

DAY = 86_400


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf.below(tmp_path)


def _age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def _tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_every_entry_and_every_damaged_folder_is_listed(shelf: Shelf, tmp_path: Path) -> None:
    site = Shelf.below(tmp_path, "site").publish()
    damaged = shelf.publish(b"one")
    (damaged.path / "manifest.json").unlink()
    (shelf.spec.roots["source"] / "a.h").write_text("// 2\n", encoding="utf-8")
    whole = shelf.publish(b"two")
    for other in ("toolchain", "failed", "staging"):
        (shelf.layer.root / other).mkdir(exist_ok=True)
        (shelf.layer.root / other / "file").write_bytes(b"")
    found = list(maintenance.all_entries([Layer("site", tmp_path / "site", True), shelf.layer]))
    assert [entry for entry in found if not isinstance(entry, str)] == [site, whole]
    assert [entry for entry in found if isinstance(entry, str)] == [
        f"{damaged.path} has no manifest.json"
    ]
    assert list(maintenance.all_entries([Layer("user", tmp_path / "gone", False)])) == []


def test_pruning_takes_what_was_not_used(shelf: Shelf) -> None:
    old = shelf.publish(b"old")
    (shelf.spec.roots["source"] / "a.h").write_text("// 2\n", encoding="utf-8")
    new = shelf.publish(b"new")
    _age(old.path, 31)
    _age(new.path, 29)
    assert maintenance.prune(shelf.layer, 30) == [old.path]
    assert not old.path.exists()
    assert shelf.find().entry == new


def test_a_hit_keeps_an_entry_from_being_pruned(shelf: Shelf) -> None:
    entry = shelf.publish()
    _age(entry.path, 31)
    assert shelf.find().entry == entry
    assert maintenance.prune(shelf.layer, 30) == []


def test_an_emulated_cann_is_not_a_damaged_entry_but_is_pruned_like_one(shelf: Shelf) -> None:
    shelf.publish()
    canns = [shelf.layer.root / "emulated" / name / "cann-9.1.0" for name in ("old", "new")]
    for cann in canns:
        (cann / "lib64").mkdir(parents=True)
        (cann / "ascend_toolkit_install.info").write_text("version=9.1.0\n", encoding="utf-8")
    _age(canns[0], 31)
    assert [
        entry for entry in maintenance.all_entries([shelf.layer]) if isinstance(entry, str)
    ] == []
    assert maintenance.prune(shelf.layer, 30) == [canns[0]]
    assert not canns[0].parent.exists()
    assert canns[1].exists()


def test_pruning_leaves_no_empty_folders_and_keeps_the_cache(shelf: Shelf) -> None:
    shelf.publish()
    assert len(maintenance.prune(shelf.layer, 0)) == 1
    assert _tree(shelf.layer.root) == {CACHEDIR_TAG, "staging"}
    assert shelf.publish()


def test_pruning_takes_what_killed_builds_left_and_no_running_build(shelf: Shelf) -> None:
    entry = shelf.publish()
    with store.staging(shelf.layer, "running") as running:
        killed = shelf.layer.root / "staging" / "killed-1-2"
        killed.mkdir()
        _age(killed, 2)
        store.set_aside(shelf.layer, entry.path)
        removed = maintenance.prune(shelf.layer, 30)
        assert {path.name.partition("-")[0] for path in removed} == {"killed", "refused"}
        assert running.is_dir()


def _users_own(folder: Path) -> Path:
    """Return a folder of sources that is laid out like a cache."""
    source = folder / "linux" / "op" / "key" / "deps" / "precious.cpp"
    source.parent.mkdir(parents=True)
    source.write_text("int main() {}", encoding="utf-8")
    for parent in source.parents:
        if parent.is_relative_to(folder):
            _age(parent, 1000)
    return source


@pytest.mark.parametrize("clean", [lambda x: maintenance.prune(x, 0), maintenance.clear])
def test_upstream_24_a_folder_without_our_tag_is_never_cleaned(
    tmp_path: Path, clean: object
) -> None:
    """scikit-build-core #1400: a cleaner deleted its user's sources."""
    source = _users_own(tmp_path / "work")
    with pytest.raises(CacheError, match="nothing in it was deleted") as caught:
        clean(Layer("user", tmp_path / "work", shipped=False))  # type: ignore[operator]
    assert str(tmp_path / "work") in str(caught.value)
    (tmp_path / "work" / CACHEDIR_TAG).mkdir()  # a folder with the name is not a tag
    with pytest.raises(CacheError):
        clean(Layer("user", tmp_path / "work", shipped=False))  # type: ignore[operator]
    assert source.is_file()


@pytest.mark.parametrize("clean", [lambda x: maintenance.prune(x, 0), maintenance.clear])
def test_upstream_24_links_in_a_cache_lead_no_cleaner_outside(
    shelf: Shelf, tmp_path: Path, clean: object
) -> None:
    """scikit-build-core #1400."""
    source = _users_own(tmp_path / "work")
    entry = shelf.publish()
    (shelf.layer.root / "link").symlink_to(tmp_path / "work")
    (entry.path.parent / "link").symlink_to(source.parent)
    (shelf.layer.root / "staging" / "refused-link").symlink_to(tmp_path / "work")
    clean(shelf.layer)  # type: ignore[operator]
    assert source.is_file()


def test_clearing_leaves_the_root_and_its_tag(shelf: Shelf) -> None:
    shelf.publish()
    (shelf.layer.root / "file").write_bytes(b"")
    maintenance.clear(shelf.layer)
    assert _tree(shelf.layer.root) == {CACHEDIR_TAG}
    assert shelf.publish()


def test_a_cache_that_was_never_made_is_clear(tmp_path: Path) -> None:
    layer = Layer("user", tmp_path / "gone", shipped=False)
    maintenance.clear(layer)
    assert maintenance.prune(layer, 0) == []
    assert not layer.root.exists()


def test_an_entry_that_disappears_meanwhile_is_not_an_error(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = shelf.publish()
    found = [entry.path, entry.path.parent / "gone"]
    monkeypatch.setattr(maintenance, "entry_folders", lambda root: iter(found))
    assert maintenance.prune(shelf.layer, 0) == [entry.path]


def test_the_nearest_entry_and_what_differs(tmp_path: Path) -> None:
    far = Shelf.below(tmp_path, cxx_flags=("-O1",), ld_flags=(), bound_to={"torch": "1"})
    near = Shelf.below(tmp_path, cxx_flags=("-O3",))
    other = Shelf.below(tmp_path, name="another_op")
    far.publish()
    entry = near.publish()
    other.publish()
    wanted = Shelf.below(tmp_path, cxx_flags=("-O2",))
    found = maintenance.nearest([wanted.layer], "made_up", wanted.key)
    assert found is not None
    assert found.entry == entry
    (line,) = found.differences
    assert line.startswith("recipe.build: ")
    assert "-O3" in line.partition(", expected ")[0]
    assert "-O2" in line.partition(", expected ")[2]
    assert maintenance.nearest([wanted.layer], "no_such_op", wanted.key) is None
