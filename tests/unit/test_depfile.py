"""Depfiles are read the way compilers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_text import ODD

from op_builder.jit.depfile import parse_depfile, parse_linker_list


def _munged(path: str) -> str:
    """Return a path as GCC's mkdeps.cc writes it; verified with g++ 12 and 13."""
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


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("a.so: \\\n  a.o \\\n  /x y/z.a\n\na.o:\n\n/x y/z.a:\n", ["a.o", "/x y/z.a"]),
        ("a.so: a.o /x y/z.a\n\na.o:\n\n/x y/z.a:\n", ["a.o", "/x y/z.a"]),
        ("a.so: \\\n a.o \\\n x\\ y.a\n\na.o:\n\nx\\ y.a:\n", ["a.o", "x\\ y.a"]),
        ("", []),
    ],
    ids=["GNU", "mold", "lld", "empty"],
)
def test_linker_lists_by_example(text: str, paths: list[str]) -> None:
    assert parse_linker_list(text) == paths
