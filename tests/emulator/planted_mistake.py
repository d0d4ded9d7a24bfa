"""A mistake planted in one of this project's kernels, and what the emulated core must report.

Each replaces a text that its kernel, with the header ``rows.h``, contains once.
"""

from __future__ import annotations

from typing import NamedTuple


class Mistake(NamedTuple):
    """One mistake.

    Attributes:
        name: What is wrong.
        kernel: The file in ``csrc/npu/kernels``, without its suffix.
        old: The text that is replaced.
        new: What it is replaced by.
        report: What the core must report.
        auto_sync: False to compile without the order that the compiler inserts.
    """

    name: str
    kernel: str
    old: str
    new: str
    report: str
    auto_sync: bool = True


# Texts of the kernels that several mistakes are planted at.
LOADED = """        queue_.EnQue(loaded);
        loaded = queue_.template DeQue<T>();
"""
STORED = """        queue_.EnQue(stored);
        stored = queue_.template DeQue<T>();
"""
LOAD_WHOLE = "        DataCopy(loaded, global_[begin], count);\n"
REFILL = "        Duplicate(stored, T(0), 8);\n"
LOAD = "        DataCopyPad(loaded, global_[begin], bytes, DataCopyPadExtParams<T>());\n"
STORE = "        DataCopyPad(global_[begin], stored, bytes);\n"
WIDEN = "            Muls(to, loaded, 1.0F, count);\n"
NARROW = "            Muls(stored, from, 1.0F, count);\n"
FREE_LOADED = "        queue_.FreeTensor(loaded);\n"
FREE_STORED = "        queue_.FreeTensor(stored);\n"
ROW = "            begin_ = uint64_t(row) * tiling_.columns;\n"
SCALE = "        scales_.FreeTensor(stored);\n"
SQUARE = "            Mul(other, sum, sum, count);\n"
ADD = "        Add(sum, sum, other, count);\n"
INIT = "        pipe_.InitBuffer(sum_, tile * sizeof(float));\n"


def norm(name: str, old: str, new: str, report: str, **options: object) -> Mistake:
    return Mistake(name, "norm", old, new, report, **options)  # type: ignore[arg-type]


def at_row(name: str, statement: str, report: str) -> Mistake:
    """A mistake that is a statement of its own."""
    return norm(name, ROW, f"{ROW}            {statement}\n", report)
