"""Launch the kernel in ``add.asc``; :mod:`ascend_c` runs this file in a process of its own.

Arguments: the kernel's file, and a number of elements. It prints the seconds of the first launch in
this process, with the look-up of the kernel, and then, for each line that it reads, the seconds of
an addition of that many elements.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from ascend_ops import emulator

emulator.activate(op_threads=1)

import torch  # noqa: E402 - the emulated NPU is activated before

from ascend_ops import compile_kernel  # noqa: E402


def _until_done(call: Any) -> float:
    started = time.perf_counter()
    call()
    torch.npu.synchronize()  # type: ignore[attr-defined]
    return time.perf_counter() - started


def main() -> None:
    """Print the figures."""
    import torch_npu  # type: ignore[import-not-found,import-untyped,unused-ignore] # noqa: F401

    file, elements = Path(sys.argv[1]), int(sys.argv[2])
    tensors = [torch.randn(elements).npu() for _ in range(3)]  # type: ignore[attr-defined]
    # What the first op starts is not the kernel's.
    _until_done(lambda: torch.add(tensors[0][:16], tensors[1][:16]))
    source = file.read_text(encoding="utf-8")
    few = [tensor[:1001] for tensor in tensors]
    first = _until_done(lambda: compile_kernel(source, name="add")(*few, 1001))
    sys.stdout.write(f"{first}\n")
    sys.stdout.flush()
    add = compile_kernel(source, name="add")
    for _ in sys.stdin:
        sys.stdout.write(f"{_until_done(lambda: add(*tensors, elements))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
