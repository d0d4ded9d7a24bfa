"""A damaged entry is set aside, built once more, and never loaded."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sandbox import Outcome, Sandbox

Damage = Callable[[Path], None]


def truncated(entry: Path) -> None:
    os.truncate(entry / "answer.so", 4096)


def emptied(entry: Path) -> None:
    (entry / "answer.so").write_bytes(b"")


def library_gone(entry: Path) -> None:
    (entry / "answer.so").unlink()


def one_bit(entry: Path) -> None:
    content = bytearray((entry / "answer.so").read_bytes())
    content[-1] ^= 1
    (entry / "answer.so").write_bytes(content)


def manifest_gone(entry: Path) -> None:
    (entry / "manifest.json").unlink()


def manifest_cut(entry: Path) -> None:
    os.truncate(entry / "manifest.json", 100)


def manifest_is_a_list(entry: Path) -> None:
    (entry / "manifest.json").write_text("[]", encoding="utf-8")


def only_an_unknown_file(entry: Path) -> None:
    for file in entry.iterdir():
        file.unlink()
    (entry / "core").touch()


def edit_manifest(entry: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = entry / "manifest.json"
    fields = json.loads(path.read_text(encoding="utf-8"))
    change(fields)
    path.write_text(json.dumps(fields), encoding="utf-8")


def field_of_another_version(entry: Path) -> None:
    edit_manifest(entry, lambda fields: fields.update(signature="x"))


def field_missing(entry: Path) -> None:
    edit_manifest(entry, lambda fields: fields.pop("payload_digest"))


def types_of_another_version(entry: Path) -> None:
    edit_manifest(entry, lambda fields: fields.update(payload=["answer.so"], headers=[]))


def library_elsewhere(entry: Path) -> None:
    edit_manifest(entry, lambda fields: fields.update(payload="../answer.so"))
    shutil.copy(entry / "answer.so", entry.parent / "answer.so")


DAMAGES = [
    truncated,
    emptied,
    library_gone,
    one_bit,
    manifest_gone,
    manifest_cut,
    manifest_is_a_list,
    only_an_unknown_file,
    field_of_another_version,
    field_missing,
    types_of_another_version,
    library_elsewhere,
]


def assert_rebuilt_once(sandbox: Sandbox, entry: Path, compiles: int) -> Outcome:
    """The next process rebuilds the entry in its place, and the one after that loads it."""
    rebuilt = sandbox.load()
    hit = sandbox.load()

    assert rebuilt.value == hit.value == 42
    assert rebuilt.entry == hit.entry == entry
    assert hit.processes == ()
    assert sandbox.compiles == compiles + 1
    assert sandbox.entries() == [entry]
    return rebuilt


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_upstream_25_damaged_entry_is_rebuilt_once(sandbox: Sandbox, damage: Damage) -> None:
    """aiter #4799: a truncated file was used forever."""
    entry = sandbox.load().entry
    damage(entry)

    assert_rebuilt_once(sandbox, entry, compiles=1)


def test_upstream_25_another_valid_library_in_its_place_is_never_loaded(sandbox: Sandbox) -> None:
    """aiter #4799: libraries were not checked. With dlopen, their constructors would run."""
    ran = sandbox.scratch / "ran"
    sandbox.edit("answer.cpp", "#include", f"{constructor(ran)}#include")
    other = sandbox.load()
    ran.unlink()
    sandbox.edit("answer.cpp", f"{constructor(ran)}#include", "#include")
    entry = sandbox.load().entry
    shutil.copy(other.entry / "answer.so", entry / "answer.so")
    shutil.rmtree(other.entry)
    assert_rebuilt_once(sandbox, entry, compiles=2)

    assert not ran.exists()


def test_upstream_25_whole_entry_in_the_place_of_another_is_never_loaded(sandbox: Sandbox) -> None:
    """aiter #4799: the digest matches the manifest, but the entry belongs to another key."""
    entry = sandbox.load().entry
    sandbox.edit("answer.py", "ADDEND=0", "ADDEND=1")
    other = sandbox.load().entry
    sandbox.edit("answer.py", "ADDEND=1", "ADDEND=0")
    shutil.rmtree(entry)
    other.rename(entry.parent / other.name)

    assert sandbox.load().value == 42


def test_damaged_entry_that_eight_find_at_once_is_rebuilt_once(sandbox: Sandbox) -> None:
    entry = sandbox.load().entry
    truncated(entry)
    sandbox.gate.touch()
    ranks = [sandbox.start() for _ in range(8)]
    sandbox.wait_for_waiters(ranks)
    sandbox.gate.unlink()

    assert [rank.outcome().value for rank in ranks] == [42] * 8
    assert sandbox.compiles == 2
    assert sandbox.entries() == [entry]


def test_damaged_memos_are_forgotten(sandbox: Sandbox) -> None:
    """The memos of headers and of the compiler only save time."""
    entry = sandbox.load().entry
    for memo in (entry / "status", *(sandbox.cache / "toolchain").iterdir()):
        memo.write_bytes(b"\xff\x00 no memo")
    hit = sandbox.load()

    assert hit.value == 42
    assert hit.entry == entry
    assert sandbox.compiles == 1


def test_library_that_does_not_load_names_the_symbol_and_is_kept(sandbox: Sandbox) -> None:
    """It took minutes to rebuild in every process, and was deleted again."""
    first = sandbox.load("unresolved:UnresolvedBuilder")
    second = sandbox.load("unresolved:UnresolvedBuilder")
    forbidden = sandbox.load("unresolved:UnresolvedBuilder", ASCEND_OPS_JIT="0")

    for failed in (first, second, forbidden):
        assert failed.error == "LoadError"
        assert "nobody_defines_this" in failed.message
        assert failed.facts["path"].endswith("unresolved.so")
    assert sandbox.compiles == 1
    assert len(sandbox.entries()) == 1


def test_library_that_began_to_load_again_is_used(sandbox: Sandbox) -> None:
    """The symbol was missing in a required library, which has been replaced since."""
    sandbox.load("unresolved:UnresolvedBuilder")
    provider = "import ctypes; ctypes.CDLL(os.environ['PROVIDER'], mode=ctypes.RTLD_GLOBAL)"
    source = sandbox.scratch / "provider.c"
    source.write_text("int nobody_defines_this() { return 42; }", encoding="utf-8")
    library = source.with_suffix(".so")
    os.spawnlp(os.P_WAIT, "gcc", "gcc", "-shared", "-fPIC", "-o", str(library), str(source))

    found = sandbox.load("unresolved:UnresolvedBuilder", first=provider, PROVIDER=str(library))
    assert found.value == 42
    assert sandbox.compiles == 1


def constructor(marker: Path) -> str:
    return (
        "#include <cstdio>\n"
        "__attribute__((constructor)) static void run() {"
        f' std::fclose(std::fopen("{marker}", "w")); }}\n'
    )
