"""The ninja file is a pure function of the spec; depfiles are read as compilers write them."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import cache_entries
import pytest
from fake_compilers import FakeToolbox
from hypothesis import given
from hypothesis import strategies as st

from op_builder.errors import BuildError, NotFoundError
from op_builder.recipe import ninja
from op_builder.recipe.ninja import Progress, parse_depfile, render, render_toolchain
from op_builder.recipe.spec import BuildSpec, Source

ODD = "ab .,'\"$:#%=&;()[]{}<>|*?~`!\\\t-+é中\u00a0"
NAMES = st.text(st.sampled_from(ODD), min_size=1, max_size=12).filter(
    lambda n: n not in (".", "..")
)
FLAGS = st.text(st.sampled_from(ODD + "/="), min_size=1, max_size=12)


def _spec(root: Path, sources: list[str], flags: list[str]) -> BuildSpec:
    return BuildSpec(
        name="op",
        binding="ctypes",
        namespace="op",
        sources=tuple(Source(path, tuple(flags)) for path in sources),
        include_dirs=tuple(f"source/{flag}" for flag in flags),
        cxx_flags=tuple(flags),
        ld_flags=tuple(flags),
        roots={"source": root},
        bound_to={},
    )


@given(st.lists(NAMES, min_size=1, max_size=3), st.lists(FLAGS, max_size=3), NAMES)
def test_the_text_is_pure_and_says_nothing_of_where_it_is(
    sources: list[str], flags: list[str], folder: str
) -> None:
    here = render(_spec(Path("/here") / folder, sources, flags))
    assert here == render(_spec(Path("/here") / folder, sources, flags))
    assert here == render(_spec(Path("/there"), sources, flags))
    assert "/here" not in here


def _ninja_value(text: str) -> str:
    """What ninja makes of a value; any other use of its escape character would be a variable."""

    def unescaped(escape: re.Match[str]) -> str:
        assert escape[1] in ("$", " ", ":"), text
        return escape[1]

    return re.sub(r"\$(.?)", unescaped, text)


@given(st.lists(FLAGS, max_size=4))
def test_flags_arrive_as_they_were_given(flags: list[str]) -> None:
    text = render(_spec(Path("/here"), ["a.cpp"], flags))
    (line,) = [line for line in text.splitlines() if line.startswith("ld_flags =")]
    assert shlex.split(_ninja_value(line.partition("=")[2])) == flags


def test_a_newline_in_a_flag_is_refused() -> None:
    with pytest.raises(ValueError, match="newline"):
        render(_spec(Path("/here"), ["a.cpp"], ["-DA=1\n2"]))


def test_the_toolchain_is_a_file_of_its_own(tmp_path: Path) -> None:
    """Who compiles is a part of the key by itself, and no path of it stands in the keyed text."""
    assert "toolchain.ninja" in render(cache_entries.spec(tmp_path))
    text = render_toolchain(["/opt/my gcc/g++", "-m64"], ["ccache"])
    assert text == "compile = ccache '/opt/my gcc/g++' -m64\nlink = '/opt/my gcc/g++' -m64\n"


def _run(tmp_path: Path, sources: list[str], *commands: str) -> tuple[list[Progress], BuildSpec]:
    """Real ninja, and a shell script for a compiler."""
    root, work = tmp_path / "a 'root' $ ü", tmp_path / "work"
    for source in sources:
        (root / source).parent.mkdir(parents=True, exist_ok=True)
        (root / source).write_text(source, encoding="utf-8")
    spec = _spec(root, sources, [])
    work.mkdir(exist_ok=True)
    (work / "build.ninja").write_text(render(spec), encoding="utf-8")
    if not (work / "source").is_symlink():
        (work / "source").symlink_to(root)
    compiler = FakeToolbox(tmp_path).script(tmp_path / "fake g++", *commands)
    seen: list[Progress] = []
    ninja.run(spec, work, render_toolchain([str(compiler)], []), 1, seen.append)
    return seen, spec


# As GCC takes -MD -MF FILE -c SOURCE -o OBJECT, and -shared -o LIBRARY OBJECT...
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
    assert "source/a b.cpp" in ninja.dependencies(work)
    assert "source/h.h" in ninja.dependencies(work)
    assert (work / "build.log").read_text(encoding="utf-8").startswith("[1/7] compile ")
    assert ninja.library_name(spec) == "op.so"


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ("source/a.cpp:3:1: error: expected ';'", "{root}/a.cpp:3:1: error: expected ';'"),
        ("In file:\nsource/b.h:1:9: fatal error: x: gone\nmore", "{root}/b.h:1:9: fatal error"),
        ("a.o: undefined reference to `f'", "undefined reference to `f'"),
        ("/usr/bin/ld: cannot find -lascendcl: none", "cannot find -lascendcl"),
        ("Killed", "Killed"),
        ("", "ninja ended with status 1"),
    ],
)
def test_the_first_error_is_found(tmp_path: Path, said: str, first: str) -> None:
    with pytest.raises(BuildError) as caught:
        _run(tmp_path, ["a.cpp"], f"cat <<'END'\n{said}\nEND", "exit 1")
    root = tmp_path / "a 'root' $ ü"
    assert first.format(root=root) in caught.value.first_error
    assert "fake g++" in caught.value.command
    assert "-c source/a.cpp" in caught.value.command
    assert caught.value.log == tmp_path / "work" / "build.log"
    assert said in caught.value.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("output", ["", "\n", "[1/3] compile source/a.cpp\n"])
def test_a_ninja_that_was_killed_is_an_error_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    fake = FakeToolbox(tmp_path).script(tmp_path / "ninja", f"printf '{output}'", "kill -9 $$")
    monkeypatch.setattr(ninja, "find_ninja", lambda: fake)
    with pytest.raises(BuildError, match="ninja was killed by SIGKILL"):
        ninja.run(cache_entries.spec(tmp_path), tmp_path, "", 1)


def test_pain_15_ninja_is_the_packages_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """DeepSpeed #1687, #1644: it was looked for on PATH."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert os.access(ninja.find_ninja(), os.X_OK)


@pytest.mark.parametrize(
    ("record", "looked_at"), [("../bin/ninja,,", "bin/ninja: not there"), ("", "")]
)
def test_pain_15_no_ninja_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, record: str, looked_at: str
) -> None:
    """DeepSpeed #1687, #1644."""
    folder = tmp_path / "site" / "ninja-99.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Name: ninja\nVersion: 99\n", encoding="utf-8")
    (folder / "RECORD").write_text(record, encoding="utf-8")
    monkeypatch.syspath_prepend(folder.parent)
    with pytest.raises(NotFoundError, match="pip install ninja") as caught:
        ninja.find_ninja()
    assert looked_at in str(caught.value)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(NotFoundError, match="not installed"):
        ninja.find_ninja()


def _munged(path: str) -> str:
    """As GCC's mkdeps.cc writes a path: seen with g++ 12 and 13."""
    written = ""
    for index, character in enumerate(path):
        if character in " \t":
            before = len(path[:index]) - len(path[:index].rstrip("\\"))
            written += "\\" * before + "\\" + character
        else:
            written += {"#": "\\#", "$": "$$"}.get(character, character)
    return written


PATHS = st.text(st.sampled_from(ODD + "/\r\u2028\x0b"), min_size=1, max_size=12).filter(
    lambda path: not path.endswith("\\")
)


@given(st.lists(PATHS, max_size=6), st.sampled_from([" ", " \\\n ", "  "]))
def test_depfiles_are_read_as_gcc_writes_them(paths: list[str], separator: str) -> None:
    text = "objects/a\\ b.o:" + "".join(separator + _munged(path) for path in paths) + "\n"
    assert parse_depfile(text) == paths


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("a.o: a.cpp \\\n /usr/include/x.h \\\n b.h\n", ["a.cpp", "/usr/include/x.h", "b.h"]),
        ("a.o:\n", []),
        ("", []),
        ("a.o: a\\ b.h c\\#d.h e$$f.h g:h.h\n", ["a b.h", "c#d.h", "e$f.h", "g:h.h"]),
        ("a.o: x\\\\\\ y.h\n", ["x\\ y.h"]),
    ],
)
def test_depfiles_by_example(text: str, paths: list[str]) -> None:
    assert parse_depfile(text) == paths


def test_a_path_that_is_no_text_is_read_back_as_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / "a.o.d").write_bytes(b"a.o: \xff\xfe.h b.h\n")
    found = ninja.dependencies(tmp_path)
    assert [os.fsencode(path) for path in found] == [b"\xff\xfe.h", b"b.h"]
