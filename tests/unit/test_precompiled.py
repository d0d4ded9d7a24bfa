"""Which sources can use the precompiled header, and which ops share one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cache_entries
import pytest

from op_builder.recipe import ninja
from op_builder.recipe.precompiled import (
    begins_with_header,
    by_root,
    header_flags,
    header_spec,
    hidden_header,
    with_precompiled,
)
from op_builder.recipe.spec import BuildSpec, Source

HEADER = "#include <torch/extension.h>\n"


def spec(tmp_path: Path, **changes: Any) -> BuildSpec:
    return cache_entries.spec(
        tmp_path,
        **{
            "binding": "torch_extension",
            "sources": (Source("a.cpp", precompiled=True),),
            "include_dirs": ("source/include", "torch/include", "python"),
            "cxx_flags": ("-O3", "-DTORCH_EXTENSION_NAME=a"),
            "roots": {"source": tmp_path, "torch": Path("/t"), "python": Path("/p")},
            "bound_to": {"torch": "2.13.0", "python": ".so", "cann": "9.1.0"},
            **changes,
        },
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEADER, True),
        ("\n/* a\n#define A */ // b\n" + HEADER + "#define B\n", True),
        ("#include <vector>\n#include <torch/library.h>\n#include <stdint.h>\n" + HEADER, True),
        ('# include "torch/extension.h"\n', True),
        ("", False),
        ("#include <torch/library.h>\n", False),
        ("#define NDEBUG\n" + HEADER, False),
        ("#ifdef A\n" + HEADER + "#endif\n", False),
        ("#pragma pack(1)\n" + HEADER, False),
        ('#include "own.h"\n' + HEADER, False),
        ("#include <own/header.h>\n" + HEADER, False),
        ("int a;\n" + HEADER, False),
        ("// #include <torch/extension.h>\n", False),
    ],
)
def test_only_harmless_includes_may_come_first(text: str, expected: bool) -> None:
    assert begins_with_header(text) is expected


def test_sources_and_flags_that_exclude_it(tmp_path: Path) -> None:
    (tmp_path / "a.cpp").write_text(HEADER, encoding="utf-8")
    (tmp_path / "b.cpp").write_text("int b;\n", encoding="utf-8")
    sources = [Source("a.cpp"), Source("a.cpp", ("-O0",)), Source("b.cpp"), Source("missing.cpp")]

    marked = with_precompiled(tmp_path, sources, ["-O1"])
    assert [source.precompiled for source in marked] == [True, False, False, False]
    for flags in (["-include", "own.h"], ["-imacros", "own.h"]):
        assert not with_precompiled(tmp_path, sources, flags)[0].precompiled


def test_ops_that_differ_in_what_the_header_does_not_read_share_one(tmp_path: Path) -> None:
    first = header_spec(spec(tmp_path), "gcc", "12.2.0")
    other = header_spec(
        spec(
            tmp_path,
            name="b",
            cxx_flags=("-O3", "-DTORCH_EXTENSION_NAME=b"),
            include_dirs=("torch/include", "python"),
            bound_to={"torch": "2.13.0", "python": ".so"},
        ),
        "gcc",
        "12.2.0",
    )
    assert first == other
    assert first.include_dirs == ("torch/include", "python")
    assert header_spec(spec(tmp_path, cxx_flags=("-O2",)), "gcc", "12.2.0") != first
    assert (
        header_spec(spec(tmp_path, bound_to={"torch": "2", "python": ".so"}), "gcc", "12.2.0")
        != first
    )


def test_clang_has_one_for_each_place_of_torch(tmp_path: Path) -> None:
    """Its precompiled headers contain the absolute paths of headers."""
    place = header_spec(spec(tmp_path), "clang", "19.1.7")

    assert f"-I{spec(tmp_path).roots['torch']}/include" in place.cxx_flags
    assert by_root(place, f"{place.roots['torch']}/include/torch/all.h") == (
        "torch/include/torch/all.h"
    )
    assert by_root(place, "/usr/include/torch/all.h") == "/usr/include/torch/all.h"


@pytest.mark.parametrize(("version", "known"), [("10.0.1", False), ("11.0.0", True)])
def test_only_a_clang_that_knows_the_flag_instantiates_templates_in_it(
    tmp_path: Path, version: str, known: bool
) -> None:
    flags = header_spec(spec(tmp_path), "clang", version).cxx_flags
    assert ("-fpch-instantiate-templates" in flags) == known


def test_the_ninja_file_names_it_for_the_sources_that_use_it(tmp_path: Path) -> None:
    sources = (Source("a.cpp", precompiled=True), Source("b.cpp"))
    text = ninja.render(spec(tmp_path, sources=sources))

    assert text.count("header = $torch_extension") == 1
    assert "torch_extension" not in ninja.render_toolchain(["g++"], [])
    for family, flag in (("gcc", "-include"), ("clang", "-include-pch")):
        rendered = ninja.render_toolchain(["c++"], [], precompiled=header_flags(family))
        assert f"torch_extension = {flag} precompiled/" in rendered
    assert "c++-header" in ninja.render(header_spec(spec(tmp_path), "gcc", "12.2.0"))


@pytest.mark.parametrize(
    ("own", "header", "hidden"),
    [
        ("pybind11/pybind11.h", "torch/include/pybind11/pybind11.h", True),
        ("Python.h", "python/Python.h", True),
        ("vector", "/usr/include/c++/12/vector", True),
        ("sys/types.h", "/usr/include/x86_64-linux-gnu/sys/types.h", True),
        ("types.h", "torch/include/torch/types.h", False),
        ("utils.h", "torch/include/torch/csrc/api/include/torch/utils.h", False),
    ],
)
def test_a_header_of_the_op_that_hides_one_of_torch(
    tmp_path: Path, own: str, header: str, hidden: bool
) -> None:
    path = tmp_path / "include" / own
    path.parent.mkdir(parents=True)
    path.touch()
    expected = f"source/include/{own}" if hidden else None
    assert hidden_header(spec(tmp_path), [header]) == expected
