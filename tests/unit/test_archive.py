"""Moving entries between machines; no member of an archive is trusted."""

from __future__ import annotations

import gzip
import io
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from cache_entries import Shelf

from op_builder.cache import archive
from op_builder.cache.entry import Entry
from op_builder.cache.layers import Layer
from op_builder.errors import CacheError, UnsafeCacheError

Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def there(tmp_path: Path) -> Layer:
    """Return the cache of another machine."""
    return Layer("user", tmp_path / "there", shipped=False)


@pytest.fixture
def packed(tmp_path: Path) -> tuple[Path, Entry]:
    entry = Shelf.below(tmp_path / "here").publish()
    file = tmp_path / "ops.tar.gz"
    assert archive.pack([entry], file) == [entry]
    return file, entry


def _members(file: Path) -> Members:
    with tarfile.open(file) as tar:
        found = [(tarfile.TarInfo(member.name), tar.extractfile(member)) for member in tar]
        return [(member, content.read() if content else b"") for member, content in found]


def _write(file: Path, members: Members) -> None:
    with tarfile.open(file, "w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def _files(layer: Layer) -> list[str]:
    return [str(path) for path in layer.root.rglob("*") if path.is_file()]


def _refused(file: Path, layer: Layer) -> str:
    """Return the message of the refusal; nothing may be added or left behind."""
    with pytest.raises(CacheError) as caught:
        archive.unpack(file, layer)
    assert [Path(name).name for name in _files(layer)] == ["CACHEDIR.TAG"]
    assert list((layer.root / "staging").glob("*")) == []
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_upstream_20_what_one_machine_built_another_finds(tmp_path: Path, there: Layer) -> None:
    """DeepSpeed #2947: every machine compiled for 20 minutes."""
    here = Shelf.below(tmp_path / "here")
    entry = here.publish()
    file = tmp_path / "ops.tar.gz"
    archive.pack([entry], file)
    added, present = archive.unpack(file, there)
    assert present == []
    elsewhere = Shelf(there, here.spec)
    assert elsewhere.find().entry == added[0]
    assert added[0].library.read_bytes() == b"a library"
    assert added[0].manifest == entry.manifest
    assert stat.S_IMODE(added[0].path.stat().st_mode) == 0o700


def test_a_second_time_everything_is_there(packed: tuple[Path, Entry], there: Layer) -> None:
    first, _ = archive.unpack(packed[0], there)
    added, present = archive.unpack(packed[0], there)
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
    names = [Path(member.name).name for member, _ in _members(packed[0])]
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
    packed: tuple[Path, Entry], there: Layer, tmp_path: Path, name: str
) -> None:
    members = _members(packed[0])
    member = members[0][0]
    member.name = name.format(member.name, Path(member.name).name)
    _write(packed[0], members)
    assert "is not part of an entry" in _refused(packed[0], there)


def test_no_member_is_written_outside(packed: tuple[Path, Entry], there: Layer) -> None:
    """A path of five parts that begins with a root, which `//tmp/a/b/c` also has for pathlib."""
    victim = there.root.parent / "deep" / "er" / "victim"
    members = _members(packed[0])
    for name in (f"/{victim}", str(victim), "../../../../victim", "a/b/c/../../../../x"):
        member = tarfile.TarInfo(name)
        _write(packed[0], [(member, b"evil"), *members])
        _refused(packed[0], there)
    assert not victim.exists()
    with tempfile.TemporaryDirectory(dir="/tmp") as there_already:
        slashes = tarfile.TarInfo(f"/{there_already}/sub/file")
        assert len(PurePosixPath(slashes.name).parts) == 5
        (Path(there_already) / "sub").mkdir()
        _write(packed[0], [(slashes, b"evil"), *members])
        _refused(packed[0], there)
        assert list((Path(there_already) / "sub").iterdir()) == []


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE],
)
def test_only_plain_files_are_taken(packed: tuple[Path, Entry], there: Layer, kind: bytes) -> None:
    members = _members(packed[0])
    odd = tarfile.TarInfo(members[0][0].name)
    odd.type, odd.linkname = kind, "/etc/passwd"
    _write(packed[0], [(odd, b""), *members[1:]])
    assert "is not part of an entry" in _refused(packed[0], there)


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
    packed: tuple[Path, Entry], there: Layer, change: Callable[[Members], Members], message: str
) -> None:
    _write(packed[0], change(_members(packed[0])))
    assert message in _refused(packed[0], there)


def test_one_bad_entry_keeps_all_out(packed: tuple[Path, Entry], there: Layer) -> None:
    good = _members(packed[0])
    bad = _other_place(_members(packed[0]))
    _write(packed[0], [*good, *bad])
    _refused(packed[0], there)


@pytest.mark.parametrize("kept", [0, 1, 10, 50, 0.5, 0.9, -1])
def test_a_truncated_archive_is_refused(
    packed: tuple[Path, Entry], there: Layer, kept: float
) -> None:
    whole = packed[0].read_bytes()
    packed[0].write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    assert "cannot be unpacked" in _refused(packed[0], there)


def test_an_archive_with_a_flipped_byte_is_refused(
    packed: tuple[Path, Entry], there: Layer
) -> None:
    whole = packed[0].read_bytes()
    begin = len(packed[0].name) + 40  # after the name in the header, in fields that are not read
    for place in range(begin, len(whole) - 8, len(whole) // 12):
        broken = bytearray(whole)
        broken[place] ^= 0xFF
        packed[0].write_bytes(broken)
        _refused(packed[0], there)


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b" + b"\0" * 30])
def test_a_file_that_is_not_an_archive_is_refused(
    tmp_path: Path, there: Layer, content: bytes
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert "cannot be unpacked" in _refused(file, there)
    file.unlink()
    assert "No such file" in _refused(file, there)


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


def _raw_archive(file: Path, blocks: bytes, zeros: int = 0) -> None:
    with gzip.open(file, "wb", compresslevel=1) as stream:
        stream.write(blocks)
        for _ in range(zeros >> 20):
            stream.write(bytes(1 << 20))


def _header(name: str, kind: bytes, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


HUGE = 3 << 30
IN_PLACE = f"linux-x/op/{'0' * 40}/{'1' * 40}"


def _huge_pax_header() -> bytes:
    return _header("pax", tarfile.XHDTYPE, HUGE)


def _huge_global_header() -> bytes:
    return _header("pax", tarfile.XGLTYPE, HUGE)


def _huge_name() -> bytes:
    return _header("././@LongLink", tarfile.GNUTYPE_LONGNAME, HUGE)


def _huge_member() -> bytes:
    return _header(f"{IN_PLACE}/op.so", tarfile.REGTYPE, HUGE)


def _sparse_member() -> bytes:
    return _header(f"{IN_PLACE}/op.so", tarfile.GNUTYPE_SPARSE, 0)


def _endless_sparse_map() -> bytes:
    """Return the header of a sparse member whose map goes on in every following block."""
    header = bytearray(_header(f"{IN_PLACE}/op.so", tarfile.GNUTYPE_SPARSE, 0))
    header[482] = 1  # isextended
    return _with_checksum(header) + (b"0" * 504 + b"\1" + bytes(7)) * (8 << 11)


def _sparse_map_in_pax() -> bytes:
    """Return a member in GNU's sparse format 1.0, whose map is longer than any real one."""
    records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
    records += b"%d GNU.sparse.realsize=%d\n" % (33, HUGE)
    pax = _header("pax", tarfile.XHDTYPE, len(records)) + records.ljust(512, b"\0")
    blocks = b"99999999\n" + b"0\n" * (4 << 20)
    blocks += bytes(-len(blocks) % 512)
    return pax + _header(f"{IN_PLACE}/op.so", tarfile.REGTYPE, len(blocks)) + blocks


def _chain_of_headers() -> bytes:
    return (_header("pax", tarfile.XHDTYPE, 13) + b"13 comment=x\n".ljust(512, b"\0")) * 1500


def _with_checksum(header: bytearray) -> bytes:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize(
    "blocks",
    [
        _huge_pax_header,
        _huge_global_header,
        _huge_name,
        _huge_member,
        _sparse_member,
        _endless_sparse_map,
        _sparse_map_in_pax,
        _chain_of_headers,
    ],
)
def test_archive_that_would_fill_memory_or_disk_is_refused(
    tmp_path: Path, there: Layer, blocks: Callable[[], bytes]
) -> None:
    """2 MB of an archive became 2 GB of memory."""
    file = tmp_path / "bomb.tar.gz"
    _raw_archive(file, blocks(), zeros=4 << 20)
    tracemalloc.start()
    try:
        _refused(file, there)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


def test_archive_larger_than_the_free_disk_is_refused(
    packed: tuple[Path, Entry], there: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LARGEST_ARCHIVE", 3000)
    assert "contains more than 3000 bytes" in _refused(packed[0], there)


def test_archive_with_too_many_members_is_refused(
    packed: tuple[Path, Entry], there: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_MEMBERS", 3)
    assert "more than 3 members" in _refused(packed[0], there)


def test_zeros_after_the_end_do_not_go_on_forever(
    packed: tuple[Path, Entry], there: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = gzip.decompress(packed[0].read_bytes())
    _raw_archive(packed[0], whole, zeros=8 << 20)
    monkeypatch.setattr(archive, "LARGEST_ARCHIVE", 4 << 20)
    assert "contains more than" in _refused(packed[0], there)


def test_empty_archive_is_an_error(tmp_path: Path, there: Layer) -> None:
    file = tmp_path / "empty.tar.gz"
    _write(file, [])
    assert "contains no entries" in _refused(file, there)


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
    packed: tuple[Path, Entry], there: Layer, harm: Callable[[Entry], None]
) -> None:
    (first,), _ = archive.unpack(packed[0], there)
    harm(first)
    added, present = archive.unpack(packed[0], there)
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
