"""Finding and publishing: complete entries or none, and a lost race is a success."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest
from cache_entries import MACHINE, KeyedPlan, Shelf, edit_manifest, find, toolchain

from op_builder.cache import store
from op_builder.cache.entry import Entry
from op_builder.cache.key import BuildKey
from op_builder.toolchain import cpu_info


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf.below(tmp_path)


def _staged(shelf: Shelf) -> list[Path]:
    return list((shelf.layer.root / "staging").glob("*"))


def test_what_is_published_is_found_in_its_place(shelf: Shelf) -> None:
    published = shelf.publish()
    assert shelf.find() == store.Lookup(published)
    inside = published.path.relative_to(shelf.layer.root).parts
    assert inside[:3] == (f"linux-{MACHINE}", "made_up", shelf.key.digest)
    assert sorted(os.listdir(published.path)) == [  # noqa: PTH208
        "build.log",
        "build.ninja",
        "made_up.so",
        "manifest.json",
    ]
    assert stat.S_IMODE(published.path.stat().st_mode) == 0o700
    assert _staged(shelf) == []


def test_an_empty_cache_is_a_miss_without_a_reason(shelf: Shelf) -> None:
    assert shelf.find() == store.Lookup()
    assert not shelf.layer.root.exists()


def test_the_compiler_is_not_probed_if_nothing_of_the_op_is_cached(shelf: Shelf) -> None:
    class Plan(KeyedPlan):
        def build_key(self) -> BuildKey:
            raise AssertionError

    plan = Plan(shelf.spec, toolchain(), shelf.recipe, (shelf.layer,), "", "")
    assert plan.find() == store.Lookup()


def test_the_compiler_is_not_probed_if_a_shipped_layer_has_the_op(tmp_path: Path) -> None:
    class Plan(KeyedPlan):
        def build_key(self) -> BuildKey:
            raise AssertionError

    shelves = [Shelf.below(tmp_path, name) for name in ("site", "user")]
    published = [shelf.publish() for shelf in shelves]
    layers = tuple(shelf.layer for shelf in shelves)
    plan = Plan(shelves[0].spec, toolchain(), shelves[0].recipe, layers, "", "")
    assert plan.find().entry == published[0]


def test_another_key_is_a_miss(shelf: Shelf) -> None:
    shelf.publish()
    (shelf.spec.roots["source"] / "a.cpp").write_text("// another\n", encoding="utf-8")
    assert shelf.find() == store.Lookup()


def test_entries_of_one_key_are_distinguished_by_their_headers(shelf: Shelf) -> None:
    first = shelf.publish(b"first")
    header = shelf.spec.roots["source"] / "a.h"
    header.write_text("// second\n", encoding="utf-8")
    lookup = shelf.find()
    assert lookup.entry is None
    assert "changed" in lookup.refusals[0]
    second = shelf.publish(b"second")
    assert second.path.parent == first.path.parent
    found = shelf.find().entry
    assert found == second
    header.write_text("// a.h\n", encoding="utf-8")
    assert shelf.find().entry == first


def test_publishing_is_one_rename_of_a_whole_entry(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search before the rename finds nothing, and one after it finds the complete entry."""
    real, into_place = os.rename, []

    def rename(source: str, target: str) -> None:
        if "staging" not in str(target):
            into_place.append(sorted(os.listdir(source)))  # noqa: PTH208
            assert shelf.find() == store.Lookup()
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    shelf.publish()
    assert into_place == [["build.log", "build.ninja", "made_up.so", "manifest.json"]]


@pytest.mark.parametrize("number", [errno.EEXIST, errno.ENOTEMPTY])
def test_upstream_08_losing_the_race_is_success(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """DeepEP #683, DeepGEMM #301: losing the rename failed an assertion."""
    winner = shelf.publish(b"the winner")
    real = os.rename

    def rename(source: str, target: str) -> None:
        if str(target) == str(winner.path):
            raise OSError(number, os.strerror(number))
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    loser = shelf.publish(b"the loser")
    assert loser == winner
    assert loser.library.read_bytes() == b"the winner"
    assert _staged(shelf) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_any_other_failure_of_the_rename_is_raised(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real = os.rename

    def rename(source: str, target: str) -> None:
        if "staging" not in str(target):
            raise OSError(number, os.strerror(number))
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(OSError, match=os.strerror(number)):
        shelf.publish()
    assert _staged(shelf) == []


def _truncate(entry: Entry) -> None:
    entry.library.write_bytes(b"a li")


def _lose_the_manifest(entry: Entry) -> None:
    (entry.path / "manifest.json").unlink()


def _halve_the_manifest(entry: Entry) -> None:
    (entry.path / "manifest.json").write_bytes(b'{"recipe"')


def _lose_the_library(entry: Entry) -> None:
    entry.library.unlink()


@pytest.mark.parametrize(
    "harm", [_truncate, _lose_the_manifest, _halve_the_manifest, _lose_the_library]
)
def test_upstream_25_a_damaged_entry_is_refused_and_its_rebuild_takes_its_place(
    shelf: Shelf, harm: object
) -> None:
    """aiter #4799: a truncated file was used forever."""
    published = shelf.publish()
    harm(published)  # type: ignore[operator]
    lookup = shelf.find()
    assert lookup.entry is None
    assert str(published.path) in lookup.refusals[0]
    again = shelf.publish()
    assert again.path == published.path
    assert again.damage() is None
    assert shelf.find().entry == again
    (aside,) = _staged(shelf)
    assert aside.name.startswith("refused-")


def test_a_folder_that_was_pruned_meanwhile_is_made_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, pruned = os.rename, []

    def rename(source: str, target: str) -> None:
        if "staging" not in str(target) and not pruned:
            pruned.append(target)
            Path(target).parent.rmdir()
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    published = shelf.publish()
    assert pruned
    assert shelf.find().entry == published


def test_set_aside_is_one_rename_and_may_be_too_late(shelf: Shelf) -> None:
    published = shelf.publish()
    store.set_aside(shelf.layer, published.path)
    store.set_aside(shelf.layer, published.path)
    assert not published.path.exists()
    assert shelf.find().entry is None
    assert len(_staged(shelf)) == 1


@pytest.mark.parametrize("name", ["prebuilt", "site"])
def test_what_was_shipped_is_found_by_its_recipe_whoever_compiled_it(
    tmp_path: Path, name: str
) -> None:
    shelf = Shelf.below(tmp_path, name)
    published = shelf.publish()
    shelf.compiler = {"compiler": {"version": "clang 17"}, "environment": {}}
    assert shelf.find().entry == published
    shutil.rmtree(tmp_path / "sources" / "include", ignore_errors=True)
    assert find([shelf.layer], shelf.spec, shelf.recipe, None).entry == published


def test_upstream_11_what_was_shipped_for_another_torch_is_refused_with_both_versions(
    tmp_path: Path,
) -> None:
    """Ascend/pytorch #99; vllm-ascend #117, #750, #2244: versions were not checked."""
    Shelf.below(tmp_path, "prebuilt", bound_to={"torch": "2.12.0 abc, C++11 ABI 1"}).publish()
    here = Shelf.below(tmp_path, "prebuilt", bound_to={"torch": "2.13.0 def, C++11 ABI 1"})
    (refusal,) = here.find().refusals
    assert refusal.startswith("prebuilt: made_up was built for another configuration: ")
    assert "bound_to.torch: 2.12.0 abc, C++11 ABI 1, expected 2.13.0 def, C++11 ABI 1" in refusal


def test_upstream_04_what_was_shipped_for_another_cpu_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DeepSpeed #1886: SIGILL on mixed CPUs and in containers."""
    shelf = Shelf.below(tmp_path, "site")
    published = shelf.publish(cpu_features=("avx2", "avx512f"))
    monkeypatch.setattr(cpu_info, "features", lambda: frozenset({"avx2"}))
    (refusal,) = shelf.find().refusals
    assert "requires a CPU with avx512f, which this machine lacks" in refusal
    monkeypatch.setattr(cpu_info, "features", lambda: frozenset({"avx2", "avx512f", "fma"}))
    assert shelf.find().entry == published


def test_without_a_compiler_any_build_of_the_same_recipe_will_do(shelf: Shelf) -> None:
    published = shelf.publish()
    assert find([shelf.layer], shelf.spec, shelf.recipe, None).entry == published
    edit_manifest(published, recipe={**shelf.recipe, "bound_to": {"torch": "1"}})
    lookup = find([shelf.layer], shelf.spec, shelf.recipe, None)
    assert "bound_to.torch: 1, expected nothing" in lookup.refusals[0]


def test_the_first_layer_that_has_it_wins(tmp_path: Path) -> None:
    shelves = [Shelf.below(tmp_path, name) for name in ("prebuilt", "site", "user")]
    published = [shelf.publish(shelf.layer.name.encode()) for shelf in shelves]
    all_layers = [shelf.layer for shelf in shelves]
    for entry in published:
        lookup = find(all_layers, shelves[0].spec, shelves[0].recipe, shelves[2].key)
        assert lookup.entry == entry
        entry.library.write_bytes(b"damaged")


def test_links_are_not_followed_out_of_the_cache(shelf: Shelf, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "key" / "deps"
    elsewhere.mkdir(parents=True)
    (elsewhere / "manifest.json").write_bytes(b"{}")
    shelf.layer.prepare()
    (shelf.layer.root / "link").symlink_to(tmp_path / "elsewhere")
    (shelf.layer.root / "loop").symlink_to(shelf.layer.root)
    assert list(store.entry_folders(shelf.layer.root)) == []
