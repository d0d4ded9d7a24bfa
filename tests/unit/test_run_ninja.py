"""Running ninja: what it builds, its progress, the error that is shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cache_entries
import pytest
from fake_compilers import FakeToolbox

from op_builder.errors import BuildError, NotFoundError
from op_builder.jit import run_ninja
from op_builder.jit.depfile import parse_depfile
from op_builder.jit.run_ninja import Progress
from op_builder.recipe.ninja import library_name, render, render_toolchain
from op_builder.recipe.spec import BuildSpec, Source


def _run(tmp_path: Path, sources: list[str], *commands: str) -> tuple[list[Progress], BuildSpec]:
    """Run the real ninja, with a shell script as the compiler."""
    root, work = tmp_path / "a 'root' $ ü", tmp_path / "work"
    for source in sources:
        (root / source).parent.mkdir(parents=True, exist_ok=True)
        (root / source).write_text(source, encoding="utf-8")
    bare = {"include_dirs": (), "cxx_flags": (), "ld_flags": ()}
    spec = cache_entries.spec(root, name="op", sources=tuple(map(Source, sources)), **bare)
    work.mkdir(exist_ok=True)
    (work / "build.ninja").write_text(render(spec), encoding="utf-8")
    if not (work / "source").is_symlink():
        (work / "source").symlink_to(root)
    compiler = FakeToolbox(tmp_path).script(tmp_path / "fake g++", *commands)
    seen: list[Progress] = []
    run_ninja.run_ninja(spec, work, render_toolchain([str(compiler)], []), 1, seen.append)
    return seen, spec


# Like GCC with -MD -MF FILE -c SOURCE -o OBJECT, and with -shared -o LIBRARY OBJECT...
FAKE_COMPILE = r"""
case "$1" in
-MD)
    cp "$5" "$7"
    { printf 'o: '; printf %s "$5" | sed 's/ /\\ /g'; printf ' \\\n source/h.h\n'; } > "$3" ;;
-shared) shift 2; cat > "$1" < "$2" ;;
esac
"""


def test_ninja_builds_paths_with_everything_in_them(tmp_path: Path) -> None:
    sources = ["a b.cpp", "c$d.cpp", "e:f.cpp", "deep/g'h\".cpp", "ü中.cpp", "#%&;.cpp"]
    seen, spec = _run(tmp_path, sources, FAKE_COMPILE)
    assert [(progress.done, progress.total) for progress in seen] == [
        (done, len(sources) + 1) for done in range(1, len(sources) + 2)
    ]
    assert seen[-1].step == "link op.so"
    work = tmp_path / "work"
    assert (work / "op.so").read_text(encoding="utf-8") == sources[0]
    depfile = (work / "objects/a b.cpp.o.d").read_text(encoding="utf-8")
    assert parse_depfile(depfile) == ["source/a b.cpp", "source/h.h"]
    assert (work / "build.log").read_text(encoding="utf-8").startswith("[1/7] compile ")
    assert library_name(spec) == "op.so"


@pytest.mark.parametrize(
    ("printed", "first"),
    [
        ("source/a.cpp:3:1: error: expected ';'", "{root}/a.cpp:3:1: error: expected ';'"),
        ("In file:\nsource/b.h:1:9: fatal error: x: gone\nmore", "{root}/b.h:1:9: fatal error"),
        ("a.o: undefined reference to `f'", "undefined reference to `f'"),
        ("/usr/bin/ld: cannot find -lascendcl: none", "cannot find -lascendcl"),
        ("Killed", "Killed"),
        ("", "ninja exited with status 1"),
    ],
)
def test_the_first_error_is_found(tmp_path: Path, printed: str, first: str) -> None:
    with pytest.raises(BuildError) as caught:
        _run(tmp_path, ["a.cpp"], f"cat <<'END'\n{printed}\nEND", "exit 1")
    root = tmp_path / "a 'root' $ ü"
    assert first.format(root=root) in caught.value.first_error
    assert "fake g++" in caught.value.command
    assert "-c source/a.cpp" in caught.value.command
    assert caught.value.log == tmp_path / "work" / "build.log"
    assert printed in caught.value.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("output", ["", "\n", "[1/3] compile source/a.cpp\n"])
def test_a_ninja_that_was_killed_is_an_error_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    fake = FakeToolbox(tmp_path).script(tmp_path / "ninja", f"printf '{output}'", "kill -9 $$")
    monkeypatch.setattr(run_ninja, "find_ninja", lambda: fake)
    with pytest.raises(BuildError, match="ninja was killed by SIGKILL"):
        run_ninja.run_ninja(cache_entries.spec(tmp_path), tmp_path, "", 1)


def test_upstream_15_ninja_is_the_packages_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """DeepSpeed #1687, #1644: ninja was looked up on PATH."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert os.access(run_ninja.find_ninja(), os.X_OK)


@pytest.mark.parametrize(
    ("record", "looked_at"), [("../bin/ninja,,", "bin/ninja does not exist"), ("", "")]
)
def test_upstream_15_a_missing_ninja_is_an_error_that_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, record: str, looked_at: str
) -> None:
    """DeepSpeed #1687, #1644."""
    monkeypatch.setenv("PATH", "/nowhere")
    folder = tmp_path / "site" / "ninja-99.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Name: ninja\nVersion: 99\n", encoding="utf-8")
    (folder / "RECORD").write_text(record, encoding="utf-8")
    monkeypatch.syspath_prepend(folder.parent)
    with pytest.raises(NotFoundError, match="pip install ninja") as caught:
        run_ninja.find_ninja()
    assert looked_at in str(caught.value)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(NotFoundError, match="not installed"):
        run_ninja.find_ninja()


@pytest.mark.parametrize("name", ["ninja", "ninja-build"])
def test_ninja_of_the_system_is_accepted_without_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    fake = FakeToolbox(tmp_path).script(tmp_path / name, "echo 1.10.0.git")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [])
    assert run_ninja.find_ninja() == fake


@pytest.mark.parametrize("printed", ["1.7.2", "", "warning: 1.11"])
def test_ninja_of_the_system_that_is_too_old_is_refused_with_its_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, printed: str
) -> None:
    fake = FakeToolbox(tmp_path).script(tmp_path / "ninja", f"echo '{printed}'")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(NotFoundError, match=r"1\.8 or newer") as caught:
        run_ninja.find_ninja()
    assert str(fake) in str(caught.value)
    assert repr(printed) in str(caught.value)


def test_ninja_of_other_packages_and_another_path(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="ninja is not installed"):
        run_ninja.find_ninja({"PATH": "/nowhere"}, [str(tmp_path)])
    fake = FakeToolbox(tmp_path).script(tmp_path / "ninja", "echo 1.12.1")
    assert run_ninja.find_ninja({"PATH": str(tmp_path)}, []) == fake
