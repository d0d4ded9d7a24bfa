"""Which sources share a unit, and what the ninja file and other readers of a spec see of it."""

from __future__ import annotations

from pathlib import Path

import cache_entries
import pytest

from op_builder import CPUOpBuilder
from op_builder.recipe.ninja import object_name, render, unit_text
from op_builder.recipe.spec import BINDINGS, BuildSpec, Source
from op_builder.recipe.units import in_units

PLAIN = [Source(f"folder/{name}.cpp") for name in "abcde"]


def spec(root: Path, sources: list[Source], per_unit: int = 2) -> BuildSpec:
    return cache_entries.spec(root, sources=in_units(sources, per_unit))


def test_units_hold_at_most_the_given_number_in_order(tmp_path: Path) -> None:
    units = spec(tmp_path, PLAIN).units
    assert [unit.path for unit in units] == ["unit_0.cpp", "unit_1.cpp", "unit_2.cpp"]
    assert [len(unit.sources) for unit in units] == [2, 2, 1]
    assert [source.path for unit in units for source in unit.sources] == [s.path for s in PLAIN]


def test_a_source_with_flags_is_by_itself(tmp_path: Path) -> None:
    special = Source("special.cpp", ("-mavx2",))
    units = spec(tmp_path, [PLAIN[0], special, PLAIN[1]]).units
    assert [unit.path for unit in units] == ["unit_0.cpp", "source/special.cpp"]
    assert units[1].flags == ("-mavx2",)
    assert units[1].includes == ()


def test_without_units_each_source_is_one(tmp_path: Path) -> None:
    units = cache_entries.spec(tmp_path, sources=tuple(PLAIN)).units
    assert [unit.path for unit in units] == [f"source/{source.path}" for source in PLAIN]
    assert object_name(units[0]) == "objects/folder/a.cpp.o"


def test_the_ninja_file_contains_what_a_unit_includes(tmp_path: Path) -> None:
    made = spec(tmp_path, PLAIN)
    text = render(made)
    assert "build objects/unit_0.cpp.o: compile unit_0.cpp | source/folder/a.cpp source" in text
    assert "source/folder/e.cpp" in text
    assert text != render(spec(tmp_path, PLAIN, 3))
    assert unit_text(made.units[2]) == '#include "source/folder/e.cpp"\n'


def test_a_unit_needs_room_for_a_source() -> None:
    with pytest.raises(ValueError, match="SOURCES_PER_UNIT must be at least 1, got 0"):
        in_units(PLAIN, 0)


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("uses_torch", [False, True])
def test_ops_of_all_bindings_have_units(tmp_path: Path, binding: str, uses_torch: bool) -> None:
    class TogetherBuilder(CPUOpBuilder):
        NAME = "together"
        BUILD_VAR = "DS_BUILD_TOGETHER"
        BINDING = binding
        SOURCES_PER_UNIT = 2

        def sources(self) -> list[str]:
            return ["a.cpp", "b.cpp"]

        def source_root(self) -> Path:
            return tmp_path

        def uses_torch(self) -> bool:
            return uses_torch

    for name in ("a.cpp", "b.cpp"):
        (tmp_path / name).write_text("#include <cstdint>\n")
    units = TogetherBuilder().plan().spec.units
    assert [unit.path for unit in units] == ["unit_0.cpp"]
