"""The ninja file is a pure function of the spec."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import cache_entries
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_text import ODD

from op_builder.recipe.ninja import render, render_toolchain
from op_builder.recipe.spec import BuildSpec, Source

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
def test_the_text_is_pure_and_independent_of_its_folder(
    sources: list[str], flags: list[str], folder: str
) -> None:
    here = render(_spec(Path("/here") / folder, sources, flags))
    assert here == render(_spec(Path("/here") / folder, sources, flags))
    assert here == render(_spec(Path("/there"), sources, flags))
    assert "/here" not in here


def _ninja_value(text: str) -> str:
    """Unescape a value as ninja does; any other use of ``$`` would be a variable."""

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
    """The key describes the compiler separately, so its text does not contain its path."""
    assert "toolchain.ninja" in render(cache_entries.spec(tmp_path))
    text = render_toolchain(["/opt/my gcc/g++", "-m64"], ["ccache"])
    assert text == "compile = ccache '/opt/my gcc/g++' -m64\nlink = '/opt/my gcc/g++' -m64\n"
