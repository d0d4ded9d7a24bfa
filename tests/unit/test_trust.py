"""Which folders may hold a cache: owners and modes of the folders above it, links, volumes."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from cache_entries import Shelf, find

from op_builder.cache import layers
from op_builder.cache.layers import Layer
from op_builder.errors import UnsafeCacheError
from op_builder.system import private_folder, trust
from op_builder.system.trust import unsafe, unsafe_below

NOBODY = 65534
ARBITRARY_USER = 1_000_620_000  # OpenShift chooses it for each project
IMAGE_USER = 1001
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="acts as other users")


@pytest.fixture
def base() -> Iterator[Path]:
    """Yield a folder that other users can reach; pytest's own is closed to them."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def user(uid: int, gid: int) -> Iterator[None]:
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def _folder(path: Path, mode: int, uid: int = -1, gid: int = -1) -> Path:
    path.mkdir()
    os.chown(path, uid, gid)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o777, 0o707, 0o770, 0o775])
@pytest.mark.parametrize("exists", [True, False])
def test_cache_below_a_folder_that_others_can_write_to_is_refused(
    base: Path, mode: int, exists: bool
) -> None:
    cache = _folder(base / "open", mode) / "deep" / "cache"
    if exists:
        cache.mkdir(parents=True, mode=0o700)
    layer = Layer("user", cache, shipped=False)
    danger = str(layer.danger())
    assert f"{base / 'open'} is writable by other users (mode {mode:o})" in danger
    assert f"chmod go-w {base / 'open'}" in danger
    assert "ASCEND_OPS_CACHE_DIR" in danger
    with pytest.raises(UnsafeCacheError):
        layer.prepare()
    assert cache.exists() is exists


def test_sticky_folder_above_is_accepted(base: Path) -> None:
    shared = _folder(base / "shared", 0o1777)
    cache = _folder(shared / "cache", 0o700)
    assert unsafe(cache) is None


@as_root
def test_parent_of_another_user_is_refused(base: Path) -> None:
    cache = _folder(_folder(base / "theirs", 0o755, NOBODY) / "cache", 0o700)
    assert f"{base / 'theirs'} belongs to user {NOBODY}" in str(unsafe(cache))
    with user(NOBODY, NOBODY):
        assert f"belongs to user {NOBODY}" not in str(unsafe(base / "theirs"))


@as_root
def test_sticky_folder_of_another_user_is_refused(base: Path) -> None:
    """Its owner can rename what is in it."""
    cache = _folder(_folder(base / "theirs", 0o1777, NOBODY) / "cache", 0o700)
    assert f"belongs to user {NOBODY}" in str(unsafe(cache))


@as_root
def test_every_link_on_the_way_and_its_target_are_checked(base: Path) -> None:
    opened = _folder(base / "open", 0o777)
    _folder(opened / "cache", 0o700)
    (base / "link").symlink_to(opened)
    (base / "again").symlink_to("link/../link")
    assert f"{opened} is writable" in str(unsafe(base / "again" / "cache"))
    opened.chmod(0o755)
    assert unsafe(base / "again" / "cache") is None
    os.chown(base / "link", NOBODY, NOBODY, follow_symlinks=False)
    assert f"{base / 'link'} belongs to user" in str(unsafe(base / "again" / "cache"))


def test_links_that_go_in_circles_are_an_error(base: Path) -> None:
    (base / "a").symlink_to("b")
    (base / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        unsafe(base / "a" / "cache")


@as_root
def test_private_group_of_the_user_may_write_above_a_cache(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ubuntu's umask is 002, so ~/.cache is often writable for the user's own group."""
    import grp
    import pwd

    members: list[str] = []
    monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_gid=4000, pw_name="me"))
    monkeypatch.setattr(
        grp, "getgrgid", lambda _: SimpleNamespace(gr_name="me", gr_mem=list(members))
    )
    cache = _folder(_folder(base / "home", 0o775, 4000, 4000) / "cache", 0o700, 4000, 4000)
    for others, safe in ((["me"], True), ([], True), (["you"], False)):
        members[:] = others
        trust._is_private_group.cache_clear()
        with user(4000, 4000):
            assert (unsafe(cache) is None) is safe
    trust._is_private_group.cache_clear()


@as_root
@pytest.mark.parametrize("owner", [0, IMAGE_USER])
def test_folders_of_an_image_for_arbitrary_users_are_accepted(base: Path, owner: int) -> None:
    """OpenShift: ``chgrp 0`` and ``chmod g=u`` in the image, and a random user in group root."""
    home = _folder(base / "home", 0o775, owner, 0)
    cache = _folder(home / "cache", 0o775, owner, 0)
    with user(ARBITRARY_USER, 0):
        assert unsafe(cache) is None
        assert unsafe_below(home, cache) is None
        Layer("user", home / "new", shipped=False).prepare()
    assert stat.S_IMODE((home / "new").stat().st_mode) == 0o700
    with user(ARBITRARY_USER, ARBITRARY_USER):
        assert unsafe(cache) is not None
    cache.chmod(0o777)
    with user(ARBITRARY_USER, 0):
        assert "is writable by other users" in str(unsafe(cache))


@as_root
def test_image_that_was_prepared_with_a_built_cache_works(base: Path) -> None:
    shelf = Shelf.below(_folder(base / "app", 0o755))
    published = shelf.publish()
    for path in (base / "app", *(base / "app").rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        os.chown(path, IMAGE_USER, 0)
        path.chmod(mode & 0o707 | (mode & 0o700) >> 3)
    with user(ARBITRARY_USER, 0):
        found = find([shelf.layer], shelf.spec, shelf.recipe, shelf.key).entry
    assert found == published


def test_shared_volume_gets_the_name_of_a_subfolder(base: Path) -> None:
    """Kubernetes mounts an emptyDir with mode 777."""
    volume = _folder(base / "volume", 0o777)
    danger = str(unsafe(volume))
    own = f"{volume}/ascend_ops-{os.getuid()}"
    assert f"run `chmod +t {volume}` and set ASCEND_OPS_CACHE_DIR to a subfolder" in danger
    assert own in danger
    volume.chmod(0o1777)
    danger = str(unsafe(volume))
    assert "chmod" not in danger
    assert own in danger
    Layer("user", Path(own), shipped=False).prepare()


def test_system_folder_and_device_get_no_advice_to_change_them() -> None:
    assert "chmod" not in str(unsafe(Path("/tmp")))
    danger = str(unsafe(Path("/dev/null")))
    assert "ASCEND_OPS_CACHE_DIR must be a folder, got '/dev/null', which is a device" in danger
    assert "chmod" not in danger


@pytest.mark.parametrize(
    ("name", "variable"),
    [("site", "ASCEND_OPS_SITE_CACHE_DIR"), ("user", "ASCEND_OPS_CACHE_DIR")],
)
def test_advice_names_the_variable_of_the_layer(base: Path, name: str, variable: str) -> None:
    opened = _folder(base / "open", 0o777)
    assert variable in str(Layer(name, opened, shipped=False).danger())


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o077, 0o777])
def test_new_cache_and_the_folders_above_it_have_their_modes_whatever_the_umask(
    base: Path, mask: int
) -> None:
    before = os.umask(mask)
    try:
        private_folder.make_cache_root(base / "a" / "b", 0o700)
        private_folder.make_cache_root(base / "c" / "d", 0o755)
    finally:
        os.umask(before)
    for parent, mode in (("a", 0o700), ("c", 0o755)):
        assert {
            stat.S_IMODE(folder.stat().st_mode)
            for folder in ((base / parent), *(base / parent).glob("?"))
        } == {mode}
        (tag,) = (base / parent).rglob("CACHEDIR.TAG")
        assert stat.S_IMODE(tag.stat().st_mode) == mode & 0o644


@pytest.fixture
def noexec(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return a set of folders that count as mounted noexec."""
    folders: set[str] = set()
    real = os.statvfs

    def statvfs(path: Path) -> object:
        if str(path) in folders:
            return SimpleNamespace(f_flag=os.ST_NOEXEC)
        return real(path)

    monkeypatch.setattr(os, "statvfs", statvfs)
    return folders


def test_noexec_cache_is_passed_over_and_named(tmp_path: Path, noexec: set[str]) -> None:
    user_shelf, temporary = Shelf.below(tmp_path), Shelf.below(tmp_path, "temporary")
    user_shelf.publish()
    published = temporary.publish()
    noexec.add(str(user_shelf.layer.root))
    shelves = [user_shelf.layer, temporary.layer]
    lookup = find(shelves, user_shelf.spec, user_shelf.recipe, user_shelf.key)
    assert lookup.entry == published
    (refusal,) = lookup.refusals
    assert f"{user_shelf.layer.root} is on a file system that is mounted noexec" in refusal


@pytest.mark.parametrize("value", ["relative", "./x", "~nobody_by_this_name/x", "/dev/null"])
@pytest.mark.parametrize("name", ["XDG_CACHE_HOME", "TMPDIR", "XDG_RUNTIME_DIR"])
def test_broken_variable_of_others_is_ignored_with_a_warning(
    name: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    from op_builder import envs
    from op_builder.cache.lock import lock_folder

    envs._warn_once.cache_clear()
    environ = {"HOME": "/home/me", name: value}
    for _ in range(2):
        roots = [layer.root for layer in layers.layers(environ, None)]
        locks = lock_folder(environ)
    assert roots == [
        Path("/home/me/.cache/ascend_ops"),
        Path(f"/tmp/ascend_ops-{os.getuid()}-cache"),
    ]
    assert value not in str(locks)
    (warning,) = caplog.messages
    assert warning.startswith(f"{name} must be ")
    assert f"got {value!r}; it is ignored" in warning
