"""A compiler, an assembler or a variable that changed leads to another entry, never to a hit."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from sandbox import Sandbox
from test_compilers import make_program

# Memos of files that changed within 2.5 s are not stored.
_SETTLING_SECONDS = 3.0
ADDS = '#!/bin/sh\nexec g++ "$@" -UADDEND -DADDEND={}\n'


def real(name: str) -> Path:
    """Return the file of a program on PATH."""
    return Path(str(shutil.which(name))).resolve()


def relocated() -> dict[str, str]:
    """Return what a copy of g++ in another folder requires to find cc1plus."""
    command = ["g++", "-print-prog-name=cc1plus"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {"GCC_EXEC_PREFIX": f"{Path(printed).parents[2]}/"}


def altered(program: Path, copy: Path, extra: bytes = b"") -> Path:
    """Write a copy of an ELF program that behaves alike but has another content."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.unlink(missing_ok=True)
    copy.write_bytes(program.read_bytes() + extra)
    copy.chmod(0o755)
    return copy


def test_an_edited_wrapper_script_is_another_compiler(sandbox: Sandbox, tmp_path: Path) -> None:
    wrapper = make_program(tmp_path / "wrapper", ADDS.format(1))
    first = sandbox.load(CXX=str(wrapper))
    make_program(wrapper, ADDS.format(2))
    edited = sandbox.load(CXX=str(wrapper))
    make_program(wrapper, ADDS.format(1))
    undone = sandbox.load(CXX=str(wrapper))

    assert [first.value, edited.value, undone.value] == [43, 44, 43]
    assert undone.entry == first.entry


def test_a_variable_that_the_wrapper_script_reads_is_in_the_key(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    wrapper = str(make_program(tmp_path / "wrapper", ADDS.format("${BONUS:-0}")))
    values = [sandbox.load(CXX=wrapper, BONUS=bonus).value for bonus in ("1", "2", "1")]

    assert values == [43, 44, 43]
    time.sleep(_SETTLING_SECONDS)  # on a quick machine, all of the above takes less
    assert sandbox.load(CXX=wrapper).value == 42
    assert sandbox.load(CXX=wrapper, UNRELATED="1").processes == ()
    assert sandbox.compiles == 3


def test_a_variable_that_a_program_behind_the_wrapper_reads_is_passed_on_only_if_named(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    make_program(tmp_path / "bin/behind", ADDS.format("${BONUS:-0}"))
    wrapper = make_program(tmp_path / "wrapper", '#!/bin/sh\nexec behind "$@"\n')
    place = {"CXX": str(wrapper), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    named = {"ASCEND_OPS_COMPILER_ENV": "OTHER, BONUS"}

    assert [sandbox.load(**place, BONUS=bonus).value for bonus in ("1", "2")] == [42, 42]
    assert [sandbox.load(**place, **named, BONUS=bonus).value for bonus in ("1", "2")] == [43, 44]


def test_an_unchanged_wrapper_script_is_a_hit_without_processes(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    wrapper = str(make_program(tmp_path / "wrapper", ADDS.format(1)))
    time.sleep(_SETTLING_SECONDS)
    built = sandbox.load(CXX=wrapper)
    hit = sandbox.load(CXX=wrapper)

    assert hit.entry == built.entry
    assert (hit.processes, hit.locks) == ((), ())


def replace_and_restore(sandbox: Sandbox, program: str, file: Path, place: dict[str, str]) -> None:
    """Exchange the copy of a program for one that behaves alike: it leads to another entry."""
    first = sandbox.load(**place)
    altered(real(program), file, b"\0")
    replaced = sandbox.load(**place)
    altered(real(program), file)
    restored = sandbox.load(**place)

    assert (first.value, replaced.value) == (42, 42)
    assert replaced.entry != first.entry
    assert restored.entry == first.entry


@pytest.mark.parametrize("program", ["g++", "as", "ld"])
def test_a_program_replaced_in_place_with_the_same_version_is_another_key(
    sandbox: Sandbox, tmp_path: Path, program: str
) -> None:
    file = altered(real(program), tmp_path / "bin" / program)
    place = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", **relocated()}
    replace_and_restore(sandbox, program, file, place)
    assert sandbox.compiles == 2


@pytest.mark.parametrize("program", ["as", "ld"])
@pytest.mark.parametrize("way", ["path", "name", "folder", "script"])
def test_a_program_behind_a_script_that_stands_for_another_is_keyed(
    sandbox: Sandbox, tmp_path: Path, program: str, way: str
) -> None:
    """Nix and Spack install the assembler and the linker as scripts."""
    behind = altered(real(program), tmp_path / "behind/the-real-one")
    called = {
        "path": str(behind),
        "name": behind.name,
        "folder": f'"$(dirname "$0")/../{behind.parent.name}/{behind.name}"',
        "script": str(make_program(tmp_path / "second", f'#!/bin/sh\nexec {behind} "$@"\n')),
    }[way]
    make_program(tmp_path / "bin" / program, f'#!/bin/sh\nexec {called} "$@"\n')
    place = {"PATH": f"{tmp_path / 'bin'}:{behind.parent}:{os.environ['PATH']}", **relocated()}
    replace_and_restore(sandbox, program, behind, place)


def test_another_assembler_first_on_path_is_another_key_and_leaves_the_first_alone(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """The memo's key had no PATH, so the key named the wrong assembler from then on."""
    altered(real("as"), tmp_path / "bin/as", b"\0")
    before = sandbox.load()
    other = sandbox.load(PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    back = sandbox.load()

    assert other.entry != before.entry
    assert back.entry == before.entry
    assert back.processes == ()
    assert sandbox.compiles == 2


@pytest.mark.parametrize("program", ["g++", "as", "ld"])
def test_a_program_that_appears_earlier_on_path_is_used_and_keyed(
    sandbox: Sandbox, tmp_path: Path, program: str
) -> None:
    place = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", **relocated()}
    (tmp_path / "bin").mkdir()
    before = sandbox.load(**place)
    assert sandbox.load(**place).processes == ()
    altered(real(program), tmp_path / "bin" / program, b"\0")

    assert sandbox.load(**place).entry != before.entry
    (tmp_path / "bin" / program).unlink()
    assert sandbox.load(**place).entry == before.entry


@pytest.mark.skipif(shutil.which("clang++") is None, reason="clang++ is not installed")
def test_a_linker_named_after_the_target_of_clang_that_appears_is_used_and_keyed(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Clang prefers ``x86_64-pc-linux-gnu-ld``, even in the last folder of PATH, to ``ld``."""
    command = ["clang++", "-dumpmachine"]
    target = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / "bin").mkdir()
    place = {"CXX": "clang++", "PATH": f"{os.environ['PATH']}:{tmp_path / 'bin'}"}
    before = sandbox.load(**place)
    make_program(
        tmp_path / f"bin/{target}-ld", f'#!/bin/sh\n: >{tmp_path}/ran\nexec {real("ld")} "$@"\n'
    )
    after = sandbox.load(**place)

    assert (before.value, after.value) == (42, 42)
    assert (tmp_path / "ran").exists()
    assert after.entry != before.entry


def test_a_link_that_is_switched_to_another_compiler_is_seen(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """As update-alternatives does."""
    one, other = (altered(real("g++"), tmp_path / name / "g++-12") for name in ("one", "other"))
    link = tmp_path / "g++"
    link.symlink_to(one)
    first = sandbox.load(CXX=str(link), **relocated())
    link.unlink()
    link.symlink_to(other)

    assert sandbox.load(CXX=str(link), **relocated()).entry != first.entry


@pytest.mark.parametrize("launcher", ["", None], ids=["no-launcher", "launcher"])
def test_ld_preload_reaches_no_compiler(sandbox: Sandbox, launcher: str | None) -> None:
    if launcher is not None:
        sandbox.environ["ASCEND_OPS_COMPILER_LAUNCHER"] = launcher
    noisy = sandbox.load(LD_PRELOAD="/no/such/library.so")
    log = (noisy.entry / "build.log").read_text(encoding="utf-8")
    quiet = sandbox.load()

    assert noisy.value == 42
    assert quiet.entry == noisy.entry
    assert quiet.processes == ()
    # ld.so writes a line for each process: for the supervisor, and for a launcher, but for no
    # compiler, assembler or linker.
    assert log.count("cannot be preloaded") <= 1 or launcher is None


def test_programs_in_the_working_folder_are_not_run(sandbox: Sandbox, tmp_path: Path) -> None:
    """An empty element of PATH stands for the working folder."""
    here = tmp_path / "here"
    for program in ("as", "ld", "g++", "cc1plus"):
        make_program(here / program, f"#!/bin/sh\necho >{tmp_path}/ran\nexit 1\n")

    for path in (f":{os.environ['PATH']}", f".:{os.environ['PATH']}", f"{os.environ['PATH']}:"):
        assert sandbox.load(PATH=path, cwd=here).value == 42
    assert not (tmp_path / "ran").exists()
    assert sandbox.compiles == 1
