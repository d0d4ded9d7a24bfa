"""The machine's limit for a step, measured among the contenders: see stream.cpp.

Two orders of the same traffic. ``plain`` is what an optimizer's own loop looks like, all four
arrays side by side; ratios to the limit are ratios to it. ``blocked`` gives one array after the
other 16 KiB at a time: on some machines memory likes that better, and then it shows what an order
of its own could still win.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

from op_builder import CPUOpBuilder

from .cases import Arrays

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


def stream_loops(arrays: Arrays) -> dict[str, Callable[[], object]]:
    """Both loops over ``arrays``, by their names in records; the arrays keep their values.

    Builds the op where no cache has it; raises the errors of :meth:`op_builder.OpBuilder.load`.
    """
    import torch

    stream = StreamBuilder().load().stream
    table = torch.tensor(_rows(arrays), dtype=torch.int64)
    sizes = [
        tensors[0].element_size() for tensors in (arrays.params, arrays.grads, arrays.exp_avgs)
    ]
    mask = 0
    return {
        PLAIN: lambda: stream(table, *sizes, False, mask),
        BLOCKED: lambda: stream(table, *sizes, True, mask),
    }


def _rows(arrays: Arrays) -> list[list[Any]]:
    rows = []
    begin = 0
    for tensors in zip(
        arrays.params, arrays.grads, arrays.exp_avgs, arrays.exp_avg_sqs, strict=True
    ):
        end = begin + tensors[0].numel()
        rows.append([*(tensor.data_ptr() for tensor in tensors), begin, end])
        begin = end
    return rows
