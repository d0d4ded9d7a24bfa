"""How csrc/emulator is laid out, and that its builders compile every file without a list."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from op_builder.ops.emulator import EMULATOR_LIBRARIES, EmulatorOperatorsBuilder

CSRC = Path(__file__).resolve().parents[2] / "csrc"
EMULATOR = CSRC / "emulator"
# Sources that several libraries contain: how many.
SHARED = {"emulator/empty.cpp": 3, "emulator/sys_param.cpp": 2}


def test_every_source_belongs_to_one_library_except_the_shared_ones() -> None:
    listed = Counter(source for cls in EMULATOR_LIBRARIES for source in cls().sources())
    assert {source: listed[source] for source in listed if listed[source] > 1} == SHARED
    assert sorted(listed) == sorted(str(file.relative_to(CSRC)) for file in EMULATOR.rglob("*.cpp"))


def test_a_new_file_is_compiled_without_being_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(EMULATOR, tmp_path / "emulator")
    (tmp_path / "emulator" / "ops" / "new_family.cpp").touch()
    (tmp_path / "emulator" / "ops" / "attention" / "new_function.cpp").touch()
    monkeypatch.setattr(EmulatorOperatorsBuilder, "source_root", lambda _: tmp_path)
    sources = EmulatorOperatorsBuilder().sources()
    assert "emulator/ops/new_family.cpp" in sources
    assert "emulator/ops/attention/new_function.cpp" in sources


def test_the_interface_of_all_libraries_includes_none_of_their_headers() -> None:
    for file in (EMULATOR / "interface").iterdir():
        included = re.findall(r'#include "(.+)"', file.read_text(encoding="utf-8"))
        assert [name for name in included if not name.startswith("emulator/interface/")] == [], file


def test_the_library_functions_of_kernels_have_costs_in_the_timeline() -> None:
    """A function that a macro for several instructions defines is not one instruction."""
    costs = (EMULATOR / "ascendc" / "costs.cpp").read_text(encoding="utf-8")
    table = costs[costs.index("library_functions[]") :]
    names = set(" ".join(re.findall(r'"([^"]*)"', table[: table.index("};")])).split())
    headers = "".join(
        header.read_text(encoding="utf-8")
        for header in sorted((EMULATOR / "include" / "ascendc").glob("*.h"))
    )
    macros = r"^AICORE_(?:FUNCTION|FUNCTION_OF_TWO|FUNCTION_TO|REDUCE_AXIS)\((\w+),"
    defined = set(re.findall(macros, headers, re.MULTILINE)) - {"NAME"}
    assert defined - names == set()
    assert {name for name in names - defined if f'{{"{name}", ' not in headers} == set()


@pytest.mark.parametrize("folder", ["runtime", "hccl", "single_op"])
def test_objects_and_c_entry_points_are_apart(folder: str) -> None:
    for file in (EMULATOR / folder / "objects").glob("*.cpp"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"^(aclError|EMULATOR_EXPORT)\b|ACL_ENTER", text, re.MULTILINE), file
        assert f"{folder}/api/" not in text, file
    for file in (EMULATOR / folder / "api").glob("*.cpp"):
        assert not re.search(r"^(class|struct) ", file.read_text(encoding="utf-8"), re.M), file
