"""Measure kernels in Ascend C on the emulated NPU: compiling, launching, adding.

Run it with ``python -m ascend_ops emulate -- python benchmarks/ascend_c.py``. All figures are CPU
times, because the emulated NPU shares the processors with everything else.
"""

from __future__ import annotations

import resource
import time
import uuid
from collections.abc import Callable
from typing import Any

import torch

from ascend_ops import compile_kernel

ADD = """
#include "kernel_operator.h"
using namespace AscendC;

constexpr uint32_t tile = 4096;

extern "C" __global__ __aicore__ void add(__gm__ float* x, __gm__ float* y, __gm__ float* z,
                                          uint32_t count) {
    KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
    TPipe pipe;
    TQue<TPosition::VECIN, 2> inputs;
    TQue<TPosition::VECOUT, 2> outputs;
    pipe.InitBuffer(inputs, 4, tile * sizeof(float));
    pipe.InitBuffer(outputs, 2, tile * sizeof(float));
    GlobalTensor<float> first, second, to;
    first.SetGlobalBuffer(x);
    second.SetGlobalBuffer(y);
    to.SetGlobalBuffer(z);
    for (uint32_t begin = GetBlockIdx() * tile; begin < count; begin += GetBlockNum() * tile) {
        const uint32_t elements = count - begin < tile ? count - begin : tile;
        const DataCopyExtParams bytes(1, elements * sizeof(float), 0, 0, 0);
        LocalTensor<float> a = inputs.AllocTensor<float>(), b = inputs.AllocTensor<float>();
        DataCopyPad(a, first[begin], bytes, DataCopyPadExtParams<float>());
        DataCopyPad(b, second[begin], bytes, DataCopyPadExtParams<float>());
        inputs.EnQue(a);
        inputs.EnQue(b);
        a = inputs.DeQue<float>();
        b = inputs.DeQue<float>();
        LocalTensor<float> sum = outputs.AllocTensor<float>();
        Add(sum, a, b, elements);
        inputs.FreeTensor(a);
        inputs.FreeTensor(b);
        outputs.EnQue(sum);
        sum = outputs.DeQue<float>();
        DataCopyPad(to[begin], sum, bytes);
        outputs.FreeTensor(sum);
    }
}
"""
ELEMENTS = 16 << 20


def cpu_seconds() -> float:
    """Return the CPU time of this process and of the programs that it has run."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def compile_seconds() -> float:
    """Return the CPU time to compile a kernel that is not cached; the smaller of two."""
    found = []
    for _ in range(2):
        begin = cpu_seconds()
        compile_kernel(f"{ADD}// {uuid.uuid4()}\n", name="add")
        found.append(cpu_seconds() - begin)
    return min(found)


def launch_microseconds(call: Callable[[], object]) -> float:
    """Return the CPU time of the calling thread per call; the smallest of seven rounds."""
    rounds = []
    for _ in range(7):
        begin = time.thread_time()
        for _ in range(3000):
            call()
        rounds.append((time.thread_time() - begin) / 3000)
        synchronize()
    return min(rounds) * 1e6


def computing_milliseconds(call: Callable[[], object]) -> float:
    """Return the CPU time of a call and what it has queued; the smallest of five."""
    rounds = []
    call()
    synchronize()
    for _ in range(5):
        begin = cpu_seconds()
        call()
        synchronize()
        rounds.append(cpu_seconds() - begin)
    return min(rounds) * 1e3


def synchronize() -> None:
    """Wait for the emulated NPU."""
    npu: Any = torch.npu  # type: ignore[attr-defined]
    npu.synchronize()


def main() -> None:
    """Print all figures."""
    torch.set_num_threads(1)
    x, y = torch.randn(ELEMENTS), torch.randn(ELEMENTS)
    a, b = x.npu(), y.npu()  # type: ignore[attr-defined]
    c, z = torch.empty_like(a), torch.empty_like(x)
    begin = time.thread_time()
    add = compile_kernel(ADD, name="add")
    add(a, b, c, ELEMENTS)
    first = (time.thread_time() - begin) * 1e3
    kernel = computing_milliseconds(lambda: add(a, b, c, ELEMENTS))
    host = computing_milliseconds(lambda: torch.add(x, y, out=z))
    print(f"first call {first:.1f} ms (run twice for a cached one)")  # noqa: T201
    print(f"add 16 Mi: {kernel:.1f} ms, torch {host:.1f} ms, {kernel / host:.1f} x")  # noqa: T201
    a, b, c = a[:1001], b[:1001], c[:1001]
    launch = launch_microseconds(lambda: add(a, b, c, 1001, blocks=1))
    into = launch_microseconds(lambda: torch.add(a, b, out=c))
    new = launch_microseconds(lambda: a + b)
    print(f"launch {launch:.2f} us, torch.add(out=) {into:.2f} us, a + b {new:.2f} us")  # noqa: T201
    print(f"compile {compile_seconds():.2f} s")  # noqa: T201


if __name__ == "__main__":
    main()
