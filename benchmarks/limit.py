"""The machine's limit for a step, measured among the contenders: see stream.cpp.

Two orders of the same traffic. ``plain`` is what an optimizer's own loop looks like, all its
arrays side by side; ratios to the limit are ratios to it. ``blocked`` gives one array after the
other 16 KiB at a time: on some machines memory likes that better, and then it shows what an order
of its own could still win.
"""

from __future__ import annotations

import platform
from collections.abc import Callable

from op_builder import CPUOpBuilder

from .arrays import Arrays
from .cases import StepCase

#: The names of the two in records.
PLAIN = "limit"
BLOCKED = "limit, blocked"


class StreamBuilder(CPUOpBuilder):
    """``bench_stream``: built for this machine, with all its vector instructions."""

    BUILD_VAR = "DS_BUILD_BENCH_STREAM"
    NAME = "bench_stream"
    NAMESPACE = "ascend_ops_bench_stream"

    def sources(self) -> list[str]:
        """One file, beside this one."""
        return ["stream.cpp"]

    def cxx_args(self) -> list[str]:
        """GCC keeps to 256 bits on CPUs with 512, where that is no faster out of cache."""
        if platform.machine() == "x86_64":
            return ["-march=native", "-mprefer-vector-width=512"]
        return ["-march=native"] if platform.machine() == "aarch64" else []


def stream_loops(case: StepCase, arrays: Arrays) -> dict[str, Callable[[], object]]:
    """Both loops over ``arrays``, by their names in records; the arrays keep their values.

    But for the copies of an offload step, which hold the upper half of the parameters afterwards.
    Builds the op where no cache has it; raises the errors of :meth:`op_builder.OpBuilder.load`.
    """
    import torch

    library = StreamBuilder().load()
    table = torch.tensor(arrays.rows(), dtype=torch.int64)
    sizes = arrays.element_sizes()
    mask = 0

    def loop(blocked: bool) -> Callable[[], object]:
        def once() -> None:
            library.stream(table, *sizes, blocked, mask)

        def after_norm() -> None:
            library.read_grads(table, sizes[1])
            library.stream(table, *sizes, blocked, mask)

        return after_norm if case.offload else once

    return {PLAIN: loop(False), BLOCKED: loop(True)}
