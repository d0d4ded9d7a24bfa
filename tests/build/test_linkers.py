"""Linkers other than the compiler's own: what they read is known, and they are part of the key."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from sandbox import Sandbox
from test_compilers import make_program
from test_memoized_hits import is_memoized, load, memoize
from test_stale_inputs import link_with
from test_stale_tools import altered, real

# The compiler, the linker, and whether the linker lists what it reads; an old one only prints it.
CHOICES = [
    pytest.param("g++", "bfd", True, id="g++-bfd"),
    pytest.param("g++", "gold", True, id="g++-gold"),
    pytest.param("g++", "lld", True, id="g++-lld"),
    pytest.param("g++", "mold", True, id="g++-mold"),
    pytest.param("clang++", "lld", True, id="clang++-lld"),
    pytest.param("g++", "bfd", False, id="g++-old-bfd"),
    pytest.param("g++", "gold", False, id="g++-old-gold"),
    pytest.param("clang++", "lld", False, id="clang++-old-lld"),
]
NAMES = ("archive", "scripted", "thin", "object")
SOURCE = """
{declarations}
extern "C" __attribute__((visibility("default"))) int answer() {{ return {calls}; }}
"""


def environment(compiler: str, linker: str) -> dict[str, str]:
    """Return the environment that chooses the compiler; skip if one of both is not installed."""
    for program in (compiler, f"ld.{linker}"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    return {"CXX": compiler}


def object_of(folder: Path, name: str, value: int) -> Path:
    """Compile ``name()``, which returns ``value``."""
    file = folder / f"{name}_with_a_long_name.o"
    text = f'extern "C" int {name}() {{ return {value}; }}'
    command = ["g++", "-fPIC", "-c", "-x", "c++", "-", "-o", str(file)]
    subprocess.run(command, input=text, text=True, check=True)
    return file


def archive_of(archive: Path, name: str, value: int, flags: str = "rcs") -> list[Path]:
    """Write an archive of one object, and return the files."""
    made = object_of(archive.parent, name, value)
    subprocess.run(["ar", flags, str(archive), str(made)], check=True)
    return [archive, made] if "T" in flags else [archive]


def write_inputs(folder: Path) -> tuple[list[str], list[Path]]:
    """Write what is linked in each way, and return the flags and the files that a linker reads."""
    folder.mkdir()
    script = folder / "libscripted.so"
    script.write_text(f'INPUT("{folder}/one.a")', encoding="utf-8")
    archive_of(folder / "other.a", "scripted", 2)
    read = [
        *archive_of(folder / "libarchive.a", "archive", 1),
        *archive_of(folder / "one.a", "scripted", 1),
        *archive_of(folder / "libthin.a", "thin", 1, "rcsT"),
        object_of(folder, "object", 1),
        script,
    ]
    libraries = [f"-L{folder}", "-larchive", "-lscripted", "-lthin"]
    return [*libraries, f"{folder}/object_with_a_long_name.o"], read


def without_list(folder: Path, compiler: str, linker: str) -> tuple[list[str], dict[str, str]]:
    """Return the flags and the PATH of a linker that cannot list what it reads."""
    text = '#!/bin/sh\ncase "$*" in *dependency-file*) exit 1 ;; esac\nexec {} "$@"\n'
    program = make_program(folder / f"ld.{linker}", text.format(shutil.which(f"ld.{linker}")))
    if compiler == "clang++":
        return [f"--ld-path={program}"], {}
    return [f"-fuse-ld={linker}"], {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize(("compiler", "linker", "lists"), CHOICES)
def test_every_input_of_a_linker_is_known(
    sandbox: Sandbox, tmp_path: Path, compiler: str, linker: str, lists: bool
) -> None:
    environ = environment(compiler, linker)
    chosen = [f"-fuse-ld={linker}"]
    if not lists:
        chosen, place = without_list(tmp_path / "bin", compiler, linker)
        environ.update(place)
    flags, files = write_inputs(tmp_path / "my libraries")
    declarations = " ".join(f'extern "C" int {name}();' for name in NAMES)
    calls = " + ".join(f"{10**place} * {name}()" for place, name in enumerate(NAMES))
    source = SOURCE.format(declarations=declarations, calls=calls)
    link_with(sandbox, *chosen, *flags, source=source)
    built = load(sandbox, **environ)
    linked = json.loads((built.entry / "manifest.json").read_text(encoding="utf-8"))["linked"]
    script = tmp_path / "my libraries" / "libscripted.so"

    assert built.value == 1111
    assert {str(file) for file in files} <= {os.path.normpath(path) for path in linked}
    assert "libc.so" in {Path(path).name for path in linked}  # glibc's is a script, too
    assert "warning" not in (built.entry / "build.log").read_text(encoding="utf-8")
    assert load(sandbox, **environ).processes == ()
    script.write_text(f'INPUT("{script.parent}/other.a")', encoding="utf-8")
    assert load(sandbox, **environ).value == 1121


@pytest.mark.parametrize("linker", ["gold", "lld"])
def test_a_linker_replaced_in_place_is_another_key(
    sandbox: Sandbox, tmp_path: Path, linker: str
) -> None:
    environment("g++", linker)
    link_with(sandbox, f"-fuse-ld={linker}", source=SOURCE.format(declarations="", calls="42"))
    program = altered(real(f"ld.{linker}"), tmp_path / "bin" / f"ld.{linker}")
    place = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    first = memoize(sandbox, **place)
    altered(real(f"ld.{linker}"), program, b"\0")
    replaced = load(sandbox, **place)
    altered(real(f"ld.{linker}"), program)
    restored = load(sandbox, **place)

    assert not is_memoized(replaced)
    assert replaced.entry != first.entry
    assert restored.entry == first.entry
    assert sandbox.compiles == 2


def test_a_linker_that_is_not_installed_is_named(sandbox: Sandbox) -> None:
    link_with(sandbox, "-fuse-ld=none", source=SOURCE.format(declarations="", calls="42"))
    failed = sandbox.load()

    assert failed.error == "BuildError"
    assert "-fuse-ld=none" in failed.message
    assert sandbox.compiles == 0


def test_a_linker_by_a_relative_path_is_refused(sandbox: Sandbox) -> None:
    link_with(sandbox, "--ld-path=bin/ld", source=SOURCE.format(declarations="", calls="42"))

    assert "must be a name or an absolute path" in sandbox.load().message
