"""What would be slow on a device is printed once for each place, and is never an error."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from emulated_process import run

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")
SOURCE = Path(__file__).resolve().parent / "kernels" / "hints.asc"
# Operands and results in other banks, aligned tiles, two buffers.
GOOD = {"TILE": 1024, "BUFFERS": 2, "GAP": 256, "SHIFT": 0, "STRIDE": 1}

PROGRAM = """
import json, torch, torch_npu
from pathlib import Path
from ascend_ops import compile_kernel

add = compile_kernel(Path({source!r}).read_text(), name="add", constants={constants!r})
x, y = torch.randn(8200).npu(), torch.randn(8200).npu()
z = torch.zeros_like(x)
for _ in range(3):
    add(x, y, z, blocks=1)
begin = {constants!r}["SHIFT"]
tiles = slice(begin, begin + 4 * {constants!r}["TILE"])
print(json.dumps(torch.equal(z[tiles].cpu(), (x + y)[tiles].cpu())))
"""


def hints(constants: dict[str, int], **variables: str) -> list[str]:
    """Return the kinds and the lines of the hints at a kernel that must give the right result."""
    done = run(PROGRAM.format(source=str(SOURCE), constants=constants), **variables)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) is True
    lines = [line for line in done.stderr.splitlines() if "hint:" in line]
    assert all(line.startswith("[emulated NPU] hint: kernel add: ") for line in lines)
    return lines


def test_a_kernel_without_such_places_has_no_hint() -> None:
    assert hints(GOOD) == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "count", "expected"),
    [
        (
            {"SHIFT": 1},
            3,
            r"\[gm alignment\] DataCopy (reads|writes) global memory from an",
        ),
        ({"GAP": 0}, 1, r"\[bank\] Add reads its operands at 0x0 and 0x2000 of UB.*same bank gro"),
        ({"GAP": 512}, 1, r"\[bank\] Add reads its operands at .* move one of them by 256 bytes"),
        ({"STRIDE": 8, "BUFFERS": 1}, 1, r"\[bank\] Add writes blocks that are 256 bytes apart"),
        ({"BUFFERS": 1}, 3, r"\[single buffer\] InitBuffer .* two buffers of 4096 bytes fit in UB"),
    ],
    ids=["address", "bank group", "bank group at a distance", "stride", "one buffer"],
)
def test_each_kind_is_printed_once_for_its_place(
    change: dict[str, int], count: int, expected: str
) -> None:
    found = [line for line in hints({**GOOD, **change}) if re.search(expected, line)]
    places = {re.search(r"(\S+:\d+): \[", line)[1] for line in found}  # type: ignore[index]

    assert len(found) == len(places) == count


def test_only_second_buffers_that_fit_are_hinted_at() -> None:
    large = {**GOOD, "TILE": 2048, "STRIDE": 16, "BUFFERS": 1}  # 144 KB of 192
    assert not [line for line in hints(large) if "single buffer" in line]


def test_they_can_be_switched_off() -> None:
    bad = {**GOOD, "BUFFERS": 1, "GAP": 0, "SHIFT": 1}
    assert hints(bad, ASCEND_EMULATOR_KERNEL_HINTS="0") == []
    assert {re.search(r"\[([a-z ]+)\] ", line.partition("hint")[2])[1] for line in hints(bad)} == {  # type: ignore[index]
        "gm alignment",
        "bank",
        "single buffer",
    }
