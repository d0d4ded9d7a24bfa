"""A file that appears later and would be found first: a header, a library, ``__has_include``."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox import Sandbox
from test_stale_inputs import ANSWER, CALLS, link_with, make_archive

TWO_FOLDERS = '["early", "include"]'


def write(file: Path, text: str) -> None:
    """Write a file in a folder that may not exist."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def values_as_it_comes_and_goes(
    sandbox: Sandbox, file: Path, text: str, **environ: str
) -> list[int]:
    """Return the op's values without a file, with it, and without it again; each is then a hit."""
    values = []
    for exists in (False, True, False):
        if exists:
            write(file, text)
        else:
            file.unlink(missing_ok=True)
        values.append(sandbox.load(**environ).value)
        hit = sandbox.load(**environ)
        assert hit.value == values[-1]
        assert hit.processes == ()
    assert sandbox.compiles == 2
    return values


@pytest.mark.parametrize("exists", [True, False], ids=["empty-folder", "no-folder"])
@pytest.mark.parametrize("include", ['"answer.h"', "<answer.h>"], ids=["quotes", "brackets"])
def test_a_header_that_appears_earlier_on_the_include_path(
    sandbox: Sandbox, exists: bool, include: str
) -> None:
    sandbox.edit("answer.py", '["include"]', TWO_FOLDERS)
    sandbox.edit("answer.cpp", '"answer.h"', include)
    if exists:
        (sandbox.project / "early").mkdir()
    header = sandbox.project / "early/answer.h"

    assert values_as_it_comes_and_goes(sandbox, header, "#define ANSWER 43\n") == [42, 43, 42]


def test_a_header_in_a_folder_that_appears_earlier_on_the_include_path(sandbox: Sandbox) -> None:
    sandbox.edit("answer.py", '["include"]', TWO_FOLDERS)
    sandbox.edit("answer.cpp", '"answer.h"', '"deep/er/answer.h"')
    write(sandbox.project / "include/deep/er/answer.h", "#define ANSWER 42\n")
    (sandbox.project / "early/deep").mkdir(parents=True)
    header = sandbox.project / "early/deep/er/answer.h"

    assert values_as_it_comes_and_goes(sandbox, header, "#define ANSWER 43\n") == [42, 43, 42]


def test_a_header_that_appears_beside_the_file_that_includes_it(sandbox: Sandbox) -> None:
    header = sandbox.project / "answer.h"

    assert values_as_it_comes_and_goes(sandbox, header, "#define ANSWER 43\n") == [42, 43, 42]


def test_a_header_that_appears_in_a_folder_of_cpath(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.edit("answer.py", '["include"]', "[]")
    late = sandbox.project / "include"
    environ = {"CPLUS_INCLUDE_PATH": f"{tmp_path / 'early'}:{late}"}
    header = tmp_path / "early/answer.h"

    found = values_as_it_comes_and_goes(sandbox, header, "#define ANSWER 43\n", **environ)
    assert found == [42, 43, 42]


@pytest.mark.parametrize(
    "condition",
    ["__has_include(<extra.h>)", '__has_include("extra.h")', "HAS(<extra.h>)", "ALIAS(<extra.h>)"],
)
def test_a_file_that_has_include_looks_for(sandbox: Sandbox, condition: str) -> None:
    macros = {"HAS": "#define HAS(x) __has_include(x)", "ALIAS": "#define ALIAS __has_include"}
    macro = macros.get(condition.partition("(")[0], "")
    text = f"{macro}\n#if {condition}\n{ANSWER} {{ return 2; }}\n"
    write(sandbox.project / "answer.cpp", f"{text}#else\n{ANSWER} {{ return 1; }}\n#endif\n")
    header = sandbox.project / "include/extra.h"

    assert values_as_it_comes_and_goes(sandbox, header, "") == [1, 2, 1]


def test_an_unrelated_file_in_a_searched_folder_is_a_hit(sandbox: Sandbox) -> None:
    sandbox.load()
    write(sandbox.project / "include/unrelated.h", "")
    write(sandbox.project / "unrelated/answer.h", "")

    assert sandbox.load().processes == ()


def test_a_library_that_appears_earlier_in_the_search(sandbox: Sandbox, tmp_path: Path) -> None:
    make_archive(tmp_path / "late/libarchive.a", 1)
    make_archive(tmp_path / "early/libother.a", 2)
    link_with(sandbox, f"-L{tmp_path}/early", f"-L{tmp_path}/late", "-larchive", source=CALLS)
    first = sandbox.load()
    assert sandbox.load().processes == ()
    (tmp_path / "early/libother.a").rename(tmp_path / "early/libarchive.a")

    assert [first.value, sandbox.load().value] == [1, 2]
