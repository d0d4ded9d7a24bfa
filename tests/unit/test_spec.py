"""Every field of a spec decides the build; nothing else does."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cache_entries
import pytest

from op_builder.cache import key
from op_builder.recipe import ninja
from op_builder.recipe.spec import BuildSpec, Source

# Another value for each field.
OTHER_VALUES: dict[str, Any] = {
    "name": "another",
    "binding": "stable",
    "namespace": "another",
    "sources": (Source("a.cpp"), Source("b.cpp")),
    "include_dirs": ("source/other",),
    "cxx_flags": ("-O2",),
    "ld_flags": (),
    "bound_to": {"torch": "2.13.0"},
}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(BuildSpec)])
def test_every_field_decides_the_key_but_where_the_roots_are(tmp_path: Path, field: str) -> None:
    base = cache_entries.spec(tmp_path)
    (tmp_path / "b.cpp").write_text("// b.cpp\n", encoding="utf-8")
    toolchain = cache_entries.toolchain()
    if field == "roots":  # an entry can move with its sources, since the key contains their content
        moved = cache_entries.spec(tmp_path / "moved")
        assert key.recipe(moved, toolchain) == key.recipe(base, toolchain)
        return
    changed = dataclasses.replace(base, **{field: OTHER_VALUES[field]})
    assert key.recipe(changed, toolchain) != key.recipe(base, toolchain)


@pytest.mark.parametrize(
    "sources", [(Source("a.cpp", ("-mavx2",)),), (Source("b.cpp"), Source("a.cpp")), ()]
)
def test_flags_and_order_of_the_sources_decide_the_text(
    tmp_path: Path, sources: tuple[Source, ...]
) -> None:
    base = cache_entries.spec(tmp_path, sources=(Source("a.cpp"), Source("b.cpp")))
    changed = dataclasses.replace(base, sources=sources)
    assert ninja.render(changed) != ninja.render(base)


def test_a_sources_content_decides(tmp_path: Path) -> None:
    spec, toolchain = cache_entries.spec(tmp_path), cache_entries.toolchain()
    before = key.recipe(spec, toolchain)
    (tmp_path / "a.cpp").write_text("// another\n", encoding="utf-8")
    assert key.recipe(spec, toolchain)["sources"] != before["sources"]


@pytest.mark.parametrize(
    "path", ["", "../a.cpp", "a/../../b.cpp", "/abs/a.cpp", "//abs/a.cpp", "a\nb.cpp", "."]
)
def test_a_source_outside_the_source_root_is_refused(tmp_path: Path, path: str) -> None:
    """Ninja would normalize the path, and the object's depfile would not be found."""
    with pytest.raises(ValueError, match=r"must be inside source_root\(\)"):
        cache_entries.spec(tmp_path, sources=(Source(path),))


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "a.b", "a$b", "a\n"])
def test_a_name_that_is_not_a_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="op name"):
        cache_entries.spec(tmp_path, name=name)


def test_an_unknown_binding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must be one of .*, got 'cython'"):
        cache_entries.spec(tmp_path, binding="cython")


@pytest.mark.parametrize(
    ("flags", "source_flags", "native"),
    [
        ((), (), False),
        (("-march=native",), (), True),
        (("-mtune=native",), (), True),
        (("-mcpu=native",), (), True),
        ((), ("-march=native",), True),
        (("-march=armv8-a", "-DX=native"), ("-mavx2",), False),
    ],
)
def test_what_depends_on_the_cpu_that_compiles(
    tmp_path: Path, flags: tuple[str, ...], source_flags: tuple[str, ...], native: bool
) -> None:
    sources = (Source("a.cpp"), Source("b.cpp", source_flags))
    assert cache_entries.spec(tmp_path, cxx_flags=flags, sources=sources).uses_native is native


def test_real_paths_behind_what_a_compiler_saw(tmp_path: Path) -> None:
    spec = cache_entries.spec(tmp_path, roots={"source": tmp_path, "torch": Path("/t")})
    assert spec.resolve("torch/include/a.h") == "/t/include/a.h"
    assert spec.resolve("source/a b/ü.h") == f"{tmp_path}/a b/ü.h"
    assert spec.resolve("source") == str(tmp_path)
    assert spec.resolve("/usr/include/new") == "/usr/include/new"
    assert spec.resolve("torchvision/a.h") == "torchvision/a.h"
