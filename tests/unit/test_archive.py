"""Moving entries between machines; no member of an archive is trusted."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from archive_files import Members, read_members, refusal_of, write_members
from cache_entries import Shelf

from op_builder.cache import archive
from op_builder.cache.entry import Entry
from op_builder.cache.layers import Layer
from op_builder.errors import CacheError, UnsafeCacheError


def test_upstream_20_what_one_machine_built_another_finds(
    tmp_path: Path, other_cache: Layer
) -> None:
    """DeepSpeed #2947: every machine compiled for 20 minutes."""
    here = Shelf.below(tmp_path / "here")
    entry = here.publish()
    file = tmp_path / "ops.tar.gz"
    archive.pack([entry], file)
    added, present = archive.unpack(file, other_cache)
    assert present == []
    elsewhere = Shelf(other_cache, here.spec)
    assert elsewhere.find().entry == added[0]
    assert added[0].library.read_bytes() == b"a library"
    assert added[0].manifest == entry.manifest
    assert stat.S_IMODE(added[0].path.stat().st_mode) == 0o700


def test_a_second_time_everything_is_there(packed: tuple[Path, Entry], other_cache: Layer) -> None:
    first, _ = archive.unpack(packed[0], other_cache)
    added, present = archive.unpack(packed[0], other_cache)
    assert (added, present) == ([], [first[0].path])


def test_a_sites_users_can_read_what_was_unpacked(
    packed: tuple[Path, Entry], tmp_path: Path
) -> None:
    site = Layer("site", tmp_path / "site", shipped=True)
    added, _ = archive.unpack(packed[0], site)
    folders = [added[0].path, *list(added[0].path.parents)[:4]]
    assert folders[-1] == site.root
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o755}
    assert not site.root.joinpath("staging").stat().st_mode & 0o077


def test_memos_of_this_machine_stay_here(packed: tuple[Path, Entry], tmp_path: Path) -> None:
    (packed[1].path / "status").write_text("a memo", encoding="ascii")
    archive.pack([packed[1]], packed[0])
    names = [Path(member.name).name for member, _ in read_members(packed[0])]
    assert sorted(names) == ["build.log", "build.ninja", "made_up.so", "manifest.json"]


def test_a_damaged_entry_is_not_packed(tmp_path: Path) -> None:
    entry = Shelf.below(tmp_path).publish()
    entry.library.write_bytes(b"another")
    file = tmp_path / "ops.tar.gz"
    file.write_bytes(b"the last one")
    with pytest.raises(CacheError, match=r"damaged entry cannot be packed: .*content differs"):
        archive.pack([entry], file)
    assert file.read_bytes() == b"the last one"
    assert [path.name for path in tmp_path.glob("*.tar.gz*")] == ["ops.tar.gz"]
    assert list(tmp_path.glob(".ops*")) == []


def test_a_place_that_cannot_be_written_is_an_error_of_the_cache(tmp_path: Path) -> None:
    entry = Shelf.below(tmp_path).publish()
    with pytest.raises(CacheError, match="cannot be written"):
        archive.pack([entry], tmp_path / "gone" / "ops.tar.gz")
    with pytest.raises(CacheError, match="cannot be written"):
        archive.pack([entry], tmp_path / "user")


ODD_NAMES = ["/{0}", "//{0}", "../{0}", "a/../{0}", "a/{0}", "{1}", "..", "", "./../{0}"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_member_outside_of_an_entry_is_refused(
    packed: tuple[Path, Entry], other_cache: Layer, tmp_path: Path, name: str
) -> None:
    members = read_members(packed[0])
    member = members[0][0]
    member.name = name.format(member.name, Path(member.name).name)
    write_members(packed[0], members)
    assert "is not part of an entry" in refusal_of(packed[0], other_cache)


def test_no_member_is_written_outside(packed: tuple[Path, Entry], other_cache: Layer) -> None:
    """A path of five parts that begins with a root, which `//tmp/a/b/c` also has for pathlib."""
    victim = other_cache.root.parent / "deep" / "er" / "victim"
    members = read_members(packed[0])
    for name in (f"/{victim}", str(victim), "../../../../victim", "a/b/c/../../../../x"):
        member = tarfile.TarInfo(name)
        write_members(packed[0], [(member, b"evil"), *members])
        refusal_of(packed[0], other_cache)
    assert not victim.exists()
    with tempfile.TemporaryDirectory(dir="/tmp") as there_already:
        slashes = tarfile.TarInfo(f"/{there_already}/sub/file")
        assert len(PurePosixPath(slashes.name).parts) == 5
        (Path(there_already) / "sub").mkdir()
        write_members(packed[0], [(slashes, b"evil"), *members])
        refusal_of(packed[0], other_cache)
        assert list((Path(there_already) / "sub").iterdir()) == []


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE],
)
def test_only_plain_files_are_taken(
    packed: tuple[Path, Entry], other_cache: Layer, kind: bytes
) -> None:
    members = read_members(packed[0])
    odd = tarfile.TarInfo(members[0][0].name)
    odd.type, odd.linkname = kind, "/etc/passwd"
    write_members(packed[0], [(odd, b""), *members[1:]])
    assert "is not part of an entry" in refusal_of(packed[0], other_cache)


def _other_library(members: Members) -> Members:
    return [(m, b"evil" if m.name.endswith(".so") else c) for m, c in members]


def _no_library(members: Members) -> Members:
    return [(m, c) for m, c in members if not m.name.endswith(".so")]


def _no_manifest(members: Members) -> Members:
    return [(m, c) for m, c in members if not m.name.endswith("manifest.json")]


def _no_log(members: Members) -> Members:
    return [(m, c) for m, c in members if not m.name.endswith("build.log")]


def _other_manifest(members: Members) -> Members:
    return [(m, b"{}" if m.name.endswith("manifest.json") else c) for m, c in members]


def _other_place(members: Members) -> Members:
    for member, _ in members:
        parts = member.name.split("/")
        member.name = "/".join([parts[0], parts[1], "0" * 40, *parts[3:]])
    return members


def _other_flags(members: Members) -> Members:
    return [(m, c.replace(b"-O3", b"-O1")) for m, c in members]


def _more(members: Members) -> Members:
    extra = tarfile.TarInfo(str(Path(members[0][0].name).parent / "status"))
    return [*members, (extra, b"content of a memo")]


def _twice(members: Members) -> Members:
    return [*members, members[0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_other_library, "content differs from its manifest"),
        (_no_library, "missing or unexpected files: made_up.so"),
        (_no_manifest, "no manifest.json"),
        (_no_log, "missing or unexpected files: build.log"),
        (_other_manifest, "manifest.json cannot be read"),
        (_other_place, "contains an entry that belongs in"),
        (_other_flags, "contains an entry that belongs in"),
        (_more, "missing or unexpected files: status"),
        (_twice, "cannot be unpacked"),
    ],
)
def test_an_entry_that_differs_from_its_manifest_is_refused(
    packed: tuple[Path, Entry],
    other_cache: Layer,
    change: Callable[[Members], Members],
    message: str,
) -> None:
    write_members(packed[0], change(read_members(packed[0])))
    assert message in refusal_of(packed[0], other_cache)


def test_one_bad_entry_keeps_all_out(packed: tuple[Path, Entry], other_cache: Layer) -> None:
    good = read_members(packed[0])
    bad = _other_place(read_members(packed[0]))
    write_members(packed[0], [*good, *bad])
    refusal_of(packed[0], other_cache)


@pytest.mark.parametrize("kept", [0, 1, 10, 50, 0.5, 0.9, -1])
def test_a_truncated_archive_is_refused(
    packed: tuple[Path, Entry], other_cache: Layer, kept: float
) -> None:
    whole = packed[0].read_bytes()
    packed[0].write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    assert "cannot be unpacked" in refusal_of(packed[0], other_cache)


def test_an_archive_with_a_flipped_byte_is_refused(
    packed: tuple[Path, Entry], other_cache: Layer
) -> None:
    whole = packed[0].read_bytes()
    begin = len(packed[0].name) + 40  # after the name in the header, in fields that are not read
    for place in range(begin, len(whole) - 8, len(whole) // 12):
        broken = bytearray(whole)
        broken[place] ^= 0xFF
        packed[0].write_bytes(broken)
        refusal_of(packed[0], other_cache)


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b" + b"\0" * 30])
def test_a_file_that_is_not_an_archive_is_refused(
    tmp_path: Path, other_cache: Layer, content: bytes
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert "cannot be unpacked" in refusal_of(file, other_cache)
    file.unlink()
    assert "No such file" in refusal_of(file, other_cache)


def test_a_cache_that_cannot_be_written_is_an_error_of_the_cache(
    packed: tuple[Path, Entry], tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CacheError, match="cannot be unpacked"):
        archive.unpack(packed[0], Layer("user", tmp_path / "file" / "cache", shipped=False))
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(UnsafeCacheError):
        archive.unpack(packed[0], Layer("user", tmp_path / "open", shipped=False))
    assert os.listdir(tmp_path / "open") == []  # noqa: PTH208


def _harm_library(entry: Entry) -> None:
    entry.library.write_bytes(b"damaged")


def _harm_manifest(entry: Entry) -> None:
    (entry.path / "manifest.json").write_bytes(b"{")


def _lose_library(entry: Entry) -> None:
    entry.library.unlink()


def _open_to_others(entry: Entry) -> None:
    entry.library.chmod(0o666)


@pytest.mark.parametrize("harm", [_harm_library, _harm_manifest, _lose_library, _open_to_others])
def test_damaged_entry_is_replaced(
    packed: tuple[Path, Entry], other_cache: Layer, harm: Callable[[Entry], None]
) -> None:
    (first,), _ = archive.unpack(packed[0], other_cache)
    harm(first)
    added, present = archive.unpack(packed[0], other_cache)
    assert ([entry.path for entry in added], present) == ([first.path], [])
    assert added[0].damage() is None


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
@pytest.mark.parametrize(("name", "modes"), [("site", (0o755, 0o644)), ("user", (0o700, 0o600))])
def test_modes_do_not_depend_on_the_umask(
    packed: tuple[Path, Entry], tmp_path: Path, mask: int, name: str, modes: tuple[int, int]
) -> None:
    layer = Layer(name, tmp_path / "new" / "root", shipped=name == "site")
    before = os.umask(mask)
    try:
        ((entry,), _) = archive.unpack(packed[0], layer)
    finally:
        os.umask(before)
    folders = [entry.path, *list(entry.path.parents)[:5]]
    assert folders[-1] == tmp_path / "new"
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {modes[0]}
    files = [*entry.path.iterdir(), layer.root / "CACHEDIR.TAG"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {modes[1]}


def test_many_processes_unpack_at_once(packed: tuple[Path, Entry], tmp_path: Path) -> None:
    """3 of 96 failed because another process was first."""
    script = (
        "import sys, pathlib\n"
        "from op_builder.cache import archive\n"
        "from op_builder.cache.layers import Layer\n"
        "sys.stdin.readline()\n"
        "for number in range(12):\n"
        "    root = pathlib.Path(sys.argv[2]) / str(number)\n"
        "    archive.unpack(pathlib.Path(sys.argv[1]), Layer('user', root, False))\n"
    )
    command = [sys.executable, "-c", script, str(packed[0]), str(tmp_path / "roots")]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(8)
    ]
    for child in running:
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
    ends = [(child.communicate()[1], child.returncode) for child in running]
    assert ends == [(b"", 0)] * len(running)
