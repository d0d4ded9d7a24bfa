"""Folders with names that are special to shells, ninja, make and regular expressions."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import pytest
from sandbox import HERE, Sandbox

NAMES = [
    pytest.param("two  words ", id="spaces"),
    pytest.param('it\'s "quoted" `date`', id="quotes"),
    pytest.param("$HOME ${x} $$ $(id)", id="dollars"),
    pytest.param("Größe 文件 \u00a0", id="unicode"),
    pytest.param("new\nline\ttab", id="newline"),
    pytest.param("a;b & c | d > e < f * ? [x] {y,z} ~ ! # %", id="shell"),
    pytest.param("-I\\back\\1slash\\g<0>", id="backslashes"),
    pytest.param("my torch/my source", id="named-as-roots"),
    pytest.param(os.fsdecode(b"latin1-\xe9"), id="no-utf8"),
]


@pytest.fixture
def odd(sandbox: Sandbox, tmp_path: Path, request: pytest.FixtureRequest) -> Sandbox:
    """Create a sandbox in a folder with an odd name."""
    base = tmp_path / request.param
    base.mkdir(parents=True)
    project = base / "project"
    shutil.move(sandbox.project, project)
    environ = dict(sandbox.environ)
    for name in ("HOME", "TMPDIR", "ASCEND_OPS_CACHE_DIR", "ASCEND_OPS_LOCK_DIR"):
        folder = base / name.lower()
        folder.mkdir(mode=0o700)
        environ[name] = str(folder)
    launcher = base / "launcher.sh"
    shutil.copy(HERE / "launcher.sh", launcher)
    compilers = base / "bin"
    if "\n" in str(base):  # ninja cannot express it, so it is refused; see below
        compilers, launcher = sandbox.scratch / "bin", HERE / "launcher.sh"
    compilers.symlink_to(Path(str(shutil.which("g++"))).parent, target_is_directory=True)
    environ["ASCEND_OPS_COMPILER_LAUNCHER"] = shlex.quote(str(launcher))
    environ["CXX"] = shlex.quote(str(compilers / "g++"))
    return Sandbox(project, base / "ascend_ops_cache_dir", sandbox.scratch, environ)


@pytest.mark.parametrize("odd", NAMES, indirect=True)
def test_project_cache_home_temporary_folder_and_compiler_with_an_odd_name(odd: Sandbox) -> None:
    cold = odd.load(cwd=odd.project)
    hit = odd.load(cwd=odd.project)
    odd.edit("include/answer.h", "42", "43")
    edited = odd.load(cwd=odd.project)

    assert [cold.value, hit.value, edited.value] == [42, 42, 43]
    assert cold.entry.is_relative_to(odd.cache)
    assert hit.processes == ()
    assert odd.compiles == 2


@pytest.mark.parametrize("odd", NAMES, indirect=True)
def test_build_error_names_the_file_with_an_odd_name(odd: Sandbox) -> None:
    odd.edit("include/answer.h", "42", "forty_two")
    failed = odd.load()

    assert failed.error == "BuildError"
    assert f"{odd.project}/include/answer.h:1:16: error: 'forty_two'" in _ascii(failed.message)
    assert Path(failed.facts["log"]).is_file()


@pytest.mark.parametrize("odd", [NAMES[0], NAMES[2]], indirect=True)
def test_header_behind_isystem_in_a_folder_with_an_odd_name(odd: Sandbox) -> None:
    first = odd.load("vendored:VendoredBuilder")
    hit = odd.load("vendored:VendoredBuilder")
    odd.edit("vendored/third_party.h", "42", "43")

    assert [first.value, odd.load("vendored:VendoredBuilder").value] == [42, 43]
    assert hit.processes == ()


SOURCES = ["it's $odd #1.cpp", "sub dir/Größe 文件.cpp", "a:b;c&d.cpp", "-o.cpp", "100%.cpp"]


@pytest.mark.parametrize("source", SOURCES)
def test_sources_and_headers_with_odd_names(sandbox: Sandbox, source: str) -> None:
    path = sandbox.project / source
    path.parent.mkdir(exist_ok=True)
    (sandbox.project / "answer.cpp").rename(path)
    header = sandbox.project / "in clude $x #" / "an  answer's $h #.h"
    header.parent.mkdir()
    (sandbox.project / "include/answer.h").rename(header)
    sandbox.edit(source, "answer.h", header.name)
    sandbox.edit("answer.py", '["answer.cpp"]', repr([source]))
    sandbox.edit("answer.py", '["include"]', repr([header.parent.name]))
    first = sandbox.load()
    hit = sandbox.load()
    sandbox.edit(f"{header.parent.name}/{header.name}", "42", "43")

    assert [first.value, sandbox.load().value] == [42, 43]
    assert hit.processes == ()
    assert sandbox.compiles == 2


def test_compiler_with_a_space_in_its_path_need_not_be_quoted(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """``CXX=/opt/my compilers/g++`` names one program if that program exists."""
    folder = tmp_path / "my it's compilers"
    folder.symlink_to(Path(str(shutil.which("g++"))).parent, target_is_directory=True)

    assert sandbox.load(CXX=f"{folder}/g++").value == 42


@pytest.mark.parametrize(
    ("variable", "error"),
    [
        ("CXX", "EnvironmentVariableError"),
        ("ASCEND_OPS_COMPILER_LAUNCHER", "EnvironmentVariableError"),
        ("PATH", "CompilerNotFoundError"),
    ],
)
def test_compiler_with_a_newline_in_its_path_is_refused(
    sandbox: Sandbox, tmp_path: Path, variable: str, error: str
) -> None:
    folder = tmp_path / "new\nline"
    folder.symlink_to(Path(str(shutil.which("g++"))).parent, target_is_directory=True)
    value = str(folder) if variable == "PATH" else shlex.quote(f"{folder}/g++")
    failed = sandbox.load(**{variable: value})

    assert failed.error == error
    assert "line" in failed.message


def _ascii(text: str) -> str:
    """The locale decides which quotes GCC prints."""
    return text.replace("\u2018", "'").replace("\u2019", "'")
