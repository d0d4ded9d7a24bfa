"""Launch variants of this project's kernels and print what the emulated AI core reports for each.

Reads a JSON list of ``[library, symbol, kernel]`` from its argument, and prints one of messages, ""
for no report. It uses AscendCL only, so that each operand is an allocation of its own.
"""

from __future__ import annotations

import ctypes
import json
import struct
import sys
from collections.abc import Callable

ACL = ctypes.CDLL("libascendcl.so")
ACL.aclGetRecentErrMsg.restype = ctypes.c_char_p
BLOCKS = 4


def memory(*values: float, code: str = "f", count: int = 0) -> int:
    """Return the address of new memory with these values, repeated up to ``count``."""
    repeated = [values[index % len(values)] for index in range(count or len(values))]
    content = struct.pack(f"{len(repeated)}{code}", *repeated)
    address = ctypes.c_void_p()
    assert ACL.aclrtMalloc(ctypes.byref(address), ctypes.c_size_t(len(content)), 0) == 0
    size = ctypes.c_size_t(len(content))
    assert ACL.aclrtMemcpy(address, size, content, size, 1) == 0  # from the host
    assert address.value is not None
    return address.value


def norm() -> bytes:
    rows, columns = 5, 2100
    x = memory(1.0, -2.0, 3.0, count=rows * columns)
    weight = memory(0.5, count=columns)
    total, scale = memory(0.0, count=rows * columns), memory(0.0, count=rows)
    y = memory(0, code="b", count=rows * columns)
    return struct.pack("@6PIIf", x, x, weight, y, scale, total, rows, columns, 1e-6)


def softmax() -> bytes:
    x, y = memory(1.0, -2.0, 3.0, count=6 * 2100), memory(0.0, count=6 * 2100)
    sinks = memory(0.0, 1.0)
    return struct.pack("@3PIIIIff", x, sinks, y, 6, 2100, 3, 2, 0.5, 4.0)


def rotary() -> bytes:
    tokens, heads, size, half = 3, 5, 41, 7
    x, y = (memory(1.0, 2.0, count=tokens * heads * size) for _ in range(2))
    cos, sin = (memory(0.5, 0.25, count=tokens * 2 * half) for _ in range(2))
    return struct.pack("@4PIIIII", x, cos, sin, y, tokens, heads, size, half, 2)


def moe() -> bytes:
    tokens, experts, k = 9, 20, 2
    logits = memory(1.0, 4.0, 2.0, 3.5, -1.0, 0.0, 7.0, count=tokens * experts)
    weights, counts = memory(0.0, count=tokens * k), memory(0, code="i", count=experts)
    indices = memory(0, code="i", count=tokens * k)
    return struct.pack("@4PIII?", logits, weights, indices, counts, tokens, experts, k, True)


def fused_optimizers() -> bytes:
    table = []
    for count in (3, 5000):
        table += [*(memory(0.5, 0.25, count=count) for _ in range(4)), count]
    addresses = memory(*table, code="Q")
    numbers = (2, 0.1, 0.9, 0.99, 1e-8, 0.1, 0.5, 0.5, 2.0)
    return struct.pack("@2PI8f", addresses, memory(0.0), *numbers)


OPERANDS: dict[str, Callable[[], bytes]] = {
    "norm": norm,
    "softmax": softmax,
    "rotary": rotary,
    "moe": moe,
    "fused_optimizers": fused_optimizers,
}


def main() -> None:
    ACL.aclInit(None)
    ACL.aclrtSetDevice(0)
    stream = ctypes.c_void_p()
    ACL.aclrtCreateStream(ctypes.byref(stream))
    operands = {kernel: make() for kernel, make in OPERANDS.items()}
    messages = []
    for library, symbol, kernel in json.loads(sys.argv[1]):
        launch = getattr(ctypes.CDLL(library), symbol)
        launch(ctypes.c_uint32(BLOCKS), stream, operands[kernel])
        code = ACL.aclrtSynchronizeStream(stream)
        message = ACL.aclGetRecentErrMsg() or b""
        messages.append("" if code == 0 else f"{code} {message.decode()}")
    print(json.dumps(messages))  # noqa: T201


main()
