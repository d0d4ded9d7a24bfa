"""The machine's limit for a step, measured in the same rounds as the implementations.

See stream.cpp. The same traffic is measured in two orders. ``plain`` reads all arrays side by side,
as an optimizer's loop does; ratios to the limit refer to it. ``blocked`` reads 16 KiB of one array
after the other, which is faster on some machines and then shows what another order could gain.
"""

from __future__ import annotations

import platform
from collections.abc import Callable

from op_builder import CPUOpBuilder

from .arrays import Arrays
from .cases import StepCase

#: The names of the two orders in records.
PLAIN = "limit"
BLOCKED = "limit, blocked"


class StreamBuilder(CPUOpBuilder):
    """``bench_stream``: built for this machine with all its vector instructions."""

    BUILD_VAR = "DS_BUILD_BENCH_STREAM"
    NAME = "bench_stream"
    NAMESPACE = "ascend_ops_bench_stream"

    def sources(self) -> list[str]:
        """Return the one source file."""
        return ["stream.cpp"]

    def cxx_args(self) -> list[str]:
        """Use 512-bit vectors, which GCC avoids by default."""
        if platform.machine() == "x86_64":
            return ["-march=native", "-mprefer-vector-width=512"]
        return ["-march=native"] if platform.machine() == "aarch64" else []


def stream_loops(case: StepCase, arrays: Arrays) -> dict[str, Callable[[], object]]:
    """Return both loops over ``arrays`` by their names in records, building the op if necessary.

    The loops do not change the arrays, except for the copies of an offload step, which then contain
    the upper halves of the parameters.

    Raises:
        AscendOpsError: See :meth:`op_builder.OpBuilder.load`.
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
