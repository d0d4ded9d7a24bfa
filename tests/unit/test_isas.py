"""Every instruction set of the kernels is in each of the places that must know it."""

from __future__ import annotations

import re
from pathlib import Path

from op_builder.ops.cpu_optimizer import VARIANTS

CPU = Path(__file__).resolve().parents[2] / "csrc" / "cpu"


def listed() -> dict[str, str]:
    """Return the next lower instruction set of each one in ``isa_list.h``."""
    text = (CPU / "isa_list.h").read_text(encoding="utf-8")
    return dict(re.findall(r"^    X\((\w+), (\w+)\)", text, re.MULTILINE))


def test_the_builder_has_the_instruction_sets_of_the_list() -> None:
    assert tuple(VARIANTS) == tuple(listed())


def test_each_falls_back_to_an_earlier_one_of_the_same_machine() -> None:
    names = list(VARIANTS)
    for isa, lower in listed().items():
        assert names.index(lower) < names.index(isa) or isa == lower == "scalar"
        assert VARIANTS[lower].machine in (None, VARIANTS[isa].machine)


def test_each_has_a_file_of_kernels_and_nothing_else_does() -> None:
    files = {path.name for path in (CPU / "optimizer").glob("kernels_*.cpp")}
    assert files == {f"kernels_{isa}.cpp" for isa in VARIANTS}


def test_each_file_of_kernels_defines_its_table_and_includes_a_vec() -> None:
    for isa in VARIANTS:
        text = (CPU / "optimizer" / f"kernels_{isa}.cpp").read_text(encoding="utf-8")
        assert f"KernelTable kernels_{isa} = make_kernels<Formula>();" in text
        (header,) = re.findall(r'#include "(cpu/simd/\w+\.h)"', text)
        assert (CPU.parent / header).is_file()


def test_each_can_be_detected() -> None:
    text = (CPU / "isa.cpp").read_text(encoding="utf-8")
    assert set(re.findall(r"case Isa::(\w+):", text)) == set(VARIANTS)
