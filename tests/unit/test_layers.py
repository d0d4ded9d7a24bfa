"""The folders that are searched and written, their owners, and what if none is writable."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import cache_entries
import pytest
from cache_entries import Shelf
from cann_trees import unreadable
from user_folders import UserFolders

from op_builder.cache import layers, store
from op_builder.cache.layers import Layer
from op_builder.errors import UnsafeCacheError
from op_builder.system.private_folder import CACHEDIR_TAG, make_below, make_private
from op_builder.system.trust import unsafe

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to somebody else")


@pytest.fixture
def no_home(tmp_path: Path, user_folders: UserFolders) -> dict[str, str]:
    """An environment whose home is a file, so that mkdir fails even for root."""
    (tmp_path / "home").write_bytes(b"")
    return {"HOME": str(tmp_path / "home"), "TMPDIR": str(user_folders.temporary)}


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_order_of_the_layers(user_folders: UserFolders) -> None:
    environ = {"ASCEND_OPS_SITE_CACHE_DIR": "/site", "ASCEND_OPS_CACHE_DIR": "/mine"}
    environ["TMPDIR"] = str(user_folders.temporary)
    found = layers.layers(environ, Path("/prebuilt"))
    temporary = user_folders.temporary / f"ascend_ops-{os.getuid()}-cache"
    assert [(layer.name, layer.root, layer.shipped) for layer in found] == [
        ("prebuilt", Path("/prebuilt"), True),
        ("site", Path("/site"), True),
        ("user", Path("/mine"), False),
        ("temporary", temporary, False),
    ]
    assert [layer.name for layer in layers.layers({}, None)] == ["user", "temporary"]


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({"ASCEND_OPS_CACHE_DIR": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/ascend_ops"),
        ({"HOME": "/c"}, "/c/.cache/ascend_ops"),
        ({"ASCEND_OPS_CACHE_DIR": "", "XDG_CACHE_HOME": "", "HOME": "/c"}, "/c/.cache/ascend_ops"),
        ({}, "/nonexistent/.cache/ascend_ops"),
    ],
)
def test_where_the_users_cache_is(environ: dict[str, str], root: str) -> None:
    assert layers.user_root(environ) == Path(root)


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o077])
def test_a_new_root_is_private_and_tagged(tmp_path: Path, umask: int) -> None:
    layer = Layer("user", tmp_path / "a" / "b", shipped=False)
    before = os.umask(umask)
    try:
        layer.prepare()
        layer.prepare()
    finally:
        os.umask(before)
    assert _mode(layer.root) == 0o700
    tag = (layer.root / CACHEDIR_TAG).read_text(encoding="utf-8")
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    assert layer.danger() is None


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022])
def test_what_a_site_ships_can_be_read_by_its_users_and_written_by_its_owner(
    tmp_path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        published = Shelf.below(tmp_path, "site").publish()
    finally:
        os.umask(before)
    folders = [published.path, *list(published.path.parents)[:4]]
    assert folders[-1] == tmp_path / "site"
    assert [_mode(folder) for folder in folders] == [0o755] * 5


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o720])
def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    layer = Layer("user", tmp_path, shipped=False)
    danger = layer.danger()
    assert danger is not None
    assert f"chmod go-w {tmp_path}" in danger
    assert f"{mode:o}" in danger
    with pytest.raises(UnsafeCacheError, match="ASCEND_OPS_CACHE_DIR"):
        layer.prepare()
    assert list(tmp_path.iterdir()) == []


@as_root
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    danger = unsafe(tmp_path)
    assert danger is not None
    assert f"belongs to user {NOBODY}" in danger
    assert "this process runs as user 0" in danger


@as_root
def test_a_link_that_somebody_else_made_is_refused(tmp_path: Path) -> None:
    """In a shared temporary folder, anybody can create a link of that name to our folders."""
    mine, link = tmp_path / "mine", tmp_path / "link"
    mine.mkdir(mode=0o700)
    link.symlink_to(mine)
    assert unsafe(link) is None  # the user's own link to a larger disk
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    assert f"belongs to user {NOBODY}" in str(unsafe(link))


def test_a_link_of_the_users_to_an_open_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    assert "is writable by other users" in str(unsafe(tmp_path / "link"))


def test_a_missing_folder_is_not_dangerous(tmp_path: Path) -> None:
    assert Layer("user", tmp_path / "gone", shipped=False).danger() is None


def test_an_unsafe_users_cache_is_an_error_and_not_passed_over(tmp_path: Path) -> None:
    shelf = Shelf.below(tmp_path)
    shelf.publish()
    shelf.layer.root.chmod(0o777)
    with pytest.raises(UnsafeCacheError):
        shelf.find()


def test_an_unsafe_site_is_skipped_with_a_warning(tmp_path: Path) -> None:
    shelf = Shelf.below(tmp_path, "site")
    shelf.publish()
    shelf.layer.root.chmod(0o777)
    lookup = shelf.find()
    assert lookup.entry is None
    assert "is writable by other users" in lookup.refusals[0]


def test_upstream_18_the_temporary_folder_is_used_if_the_home_cannot_be_written(
    tmp_path: Path, no_home: dict[str, str]
) -> None:
    """flashinfer #973, nvdiffrast #33: the only cache folder was in a read-only home."""
    user, temporary = layers.layers(no_home, None)
    with pytest.raises(OSError, match="home"):
        user.prepare()
    temporary.prepare()
    assert _mode(temporary.root) == 0o700


def test_upstream_18_a_home_that_cannot_be_looked_into_is_a_miss(tmp_path: Path) -> None:
    """flashinfer #973: a container's user has HOME=/root, and may not even list it."""
    shelf = Shelf.below(tmp_path)
    shelf.publish()
    recipe, key = shelf.recipe, shelf.key
    shelf.layer.root.chmod(0o755)
    with unreadable(shelf.layer.root / cache_entries.toolchain().target):
        found = cache_entries.find([shelf.layer], shelf.spec, recipe, key)
    assert found == store.Lookup()
    with unreadable(tmp_path):
        assert list(store.entry_folders(shelf.layer.root)) == []


def test_an_unsafe_temporary_folder_is_skipped_with_a_warning(no_home: dict[str, str]) -> None:
    temporary = layers.layers(no_home, None)[-1]
    temporary.root.mkdir()
    temporary.root.chmod(0o777)
    with pytest.raises(UnsafeCacheError):
        temporary.prepare()


def test_folders_in_between_get_the_mode_too(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_private(tmp_path / "root")
        make_below(tmp_path / "root", tmp_path / "root" / "a" / "b", 0o700)
    finally:
        os.umask(before)
    assert _mode(tmp_path / "root" / "a") == 0o700
