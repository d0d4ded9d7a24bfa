"""Every change that affects the content of a library is noticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sandbox import Sandbox

AMBIENT = "ambient:AmbientBuilder"
VENDORED = "vendored:VendoredBuilder"

EDITS = [
    pytest.param("answer.cpp", "ANSWER + ADDEND", "ANSWER + 1", id="source"),
    pytest.param("include/answer.h", "42", "43", id="own-header"),
    pytest.param("answer.py", "-DADDEND=0", "-DADDEND=1", id="flag"),
]


@pytest.mark.parametrize(("file", "old", "new"), EDITS)
def test_an_edit_is_built_and_its_undoing_is_a_hit(
    sandbox: Sandbox, file: str, old: str, new: str
) -> None:
    first = sandbox.load()
    sandbox.edit(file, old, new)
    edited = sandbox.load()
    sandbox.edit(file, new, old)
    undone = sandbox.load()

    assert [first.value, edited.value, undone.value] == [42, 43, 42]
    assert undone.entry == first.entry
    assert sandbox.compiles == 2


def test_another_link_flag_is_another_entry(sandbox: Sandbox) -> None:
    first = sandbox.load()
    sandbox.edit("answer.py", "--hash-style=gnu", "--hash-style=both")

    assert sandbox.load().entry != first.entry
    assert sandbox.compiles == 2


def test_an_edit_with_restored_size_and_times_is_seen(sandbox: Sandbox) -> None:
    header = sandbox.project / "include/answer.h"
    before = header.stat()
    assert sandbox.load().value == 42
    assert sandbox.load().value == 42  # would memoize the header's status, but it is too recent
    sandbox.edit("include/answer.h", "42", "43")
    os.utime(header, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert header.stat().st_mtime_ns == before.st_mtime_ns

    assert sandbox.load().value == 43


def test_upstream_06_changed_header_behind_isystem_is_seen(sandbox: Sandbox) -> None:
    """pytorch #68905, #51892: torch's own headers, behind -isystem, were not tracked."""
    first = sandbox.load(VENDORED)
    assert sandbox.load(VENDORED).processes == ()
    sandbox.edit("vendored/third_party.h", "42", "43")

    assert [first.value, sandbox.load(VENDORED).value] == [42, 43]
    assert sandbox.compiles == 2


@pytest.mark.parametrize("variable", ["CPLUS_INCLUDE_PATH", "CPATH"])
def test_upstream_06_changed_header_that_the_environment_finds_is_seen(
    sandbox: Sandbox, variable: str
) -> None:
    """flashinfer #4489: the library was not rebuilt after an upgrade of its headers."""
    place = {variable: str(sandbox.project / "vendored")}
    first = sandbox.load(AMBIENT, **place)
    sandbox.edit("vendored/third_party.h", "42", "43")

    assert [first.value, sandbox.load(AMBIENT, **place).value] == [42, 43]


@pytest.mark.parametrize("variable", ["CPLUS_INCLUDE_PATH", "CPATH"])
def test_upstream_06_another_folder_in_the_environment_is_seen(
    sandbox: Sandbox, tmp_path: Path, variable: str
) -> None:
    """The environment selects one of two installed versions of a library."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "third_party.h").write_text("#define THIRD_PARTY 43\n", encoding="utf-8")

    first = sandbox.load(AMBIENT, **{variable: str(sandbox.project / "vendored")})
    second = sandbox.load(AMBIENT, **{variable: str(other)})

    assert [first.value, second.value] == [42, 43]


def test_a_missing_header_is_a_miss(sandbox: Sandbox) -> None:
    sandbox.load()
    (sandbox.project / "include/answer.h").unlink()

    assert sandbox.load().error == "BuildError"


def test_cxx_with_march_native_is_keyed_by_what_native_means(sandbox: Sandbox) -> None:
    """The flag may come with the compiler's name, not only from the op."""
    found = sandbox.load(CXX="g++ -march=native")
    manifest = (found.entry / "manifest.json").read_text(encoding="utf-8")

    assert '"native": "-m' in manifest
    assert '"cpu_features": []' not in manifest


def test_a_header_edited_after_it_was_compiled_is_compiled_again(sandbox: Sandbox) -> None:
    """Its digest is taken after the build: the entry would have that of another content."""
    sandbox.edit("answer.py", '["answer.cpp"]', '["answer.cpp", "gated.cpp"]')
    (sandbox.project / "gated.cpp").write_text("", encoding="utf-8")
    sandbox.gate.touch()
    building = sandbox.start(MAX_JOBS="1", COMPILE_GATED="gated.cpp")
    sandbox.wait_for_compile(2)  # one job: answer.cpp is done
    sandbox.edit("include/answer.h", "42", "43")
    sandbox.gate.unlink()

    assert building.outcome().value == 43
    assert sandbox.load().value == 43


def test_a_source_edited_while_it_was_compiled_is_not_kept_under_its_old_key(
    sandbox: Sandbox,
) -> None:
    sandbox.gate.touch()
    building = sandbox.start()
    sandbox.wait_for_compile()
    sandbox.edit("answer.cpp", "ANSWER + ADDEND", "ANSWER + 1")
    sandbox.gate.unlink()
    building.outcome()
    sandbox.edit("answer.cpp", "ANSWER + 1", "ANSWER + ADDEND")

    assert sandbox.load().value == 42
