"""A kernel that does not end is ended, with the line where it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from emulated_process import run

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")
SOURCE = Path(__file__).resolve().parent / "kernels" / "waiting.asc"
EVER = 2**64 - 1

PROGRAM = """
import torch, torch_npu
from pathlib import Path
from ascend_ops import compile_kernel

waiting = compile_kernel(Path({source!r}).read_text(), name="waiting")
waiting(torch.zeros(8, dtype=torch.int32, device="npu"), {most}, blocks=2)
torch.npu.synchronize()
print("it has ended")
"""


@pytest.mark.parametrize("checks", ["0", "1"])
def test_a_kernel_that_waits_for_ever_is_ended(checks: str) -> None:
    done = run(
        PROGRAM.format(source=str(SOURCE), most=EVER),
        ASCEND_EMULATOR_KERNEL_TIMEOUT_S="1",
        ASCEND_EMULATOR_KERNEL_CHECKS=checks,
    )
    assert done.returncode != 0
    line = 1 + SOURCE.read_text().splitlines().index("        if (number.GetValue(0) != 0) {")
    assert f":{line}: [timeout] GetValue runs after the kernel has used 1 s" in done.stderr
    assert "507014" in done.stderr
    assert done.stderr.count("[timeout]") == done.stderr.count("(block 0)")  # the other did not run


@pytest.mark.parametrize("seconds", ["0", "900"])
def test_a_kernel_that_ends_is_not(seconds: str) -> None:
    """20,000 accesses are more than what passes before the time is read for the first time."""
    done = run(
        PROGRAM.format(source=str(SOURCE), most=20_000),
        ASCEND_EMULATOR_KERNEL_TIMEOUT_S=seconds,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("it has ended\n")
