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
SHARED = "emulator/empty.cpp"  # the whole source of three libraries


def test_every_source_belongs_to_one_library() -> None:
    listed = Counter(source for cls in EMULATOR_LIBRARIES for source in cls().sources())
    assert listed.pop(SHARED) == 3
    assert set(listed.values()) == {1}
    assert sorted([*listed, SHARED]) == sorted(
        str(file.relative_to(CSRC)) for file in EMULATOR.rglob("*.cpp")
    )


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


def test_objects_and_c_entry_points_are_apart() -> None:
    runtime = EMULATOR / "runtime"
    for file in (runtime / "objects").glob("*.cpp"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"^(aclError|EMULATOR_EXPORT)\b|ACL_ENTER", text, re.MULTILINE), file
        assert "runtime/api/" not in text, file
    for file in (runtime / "api").glob("*.cpp"):
        assert not re.search(r"^(class|struct) ", file.read_text(encoding="utf-8"), re.M), file
