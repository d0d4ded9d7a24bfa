"""The checks, one family per module; each has ``examine(survey)``.

devices           NPUs, their driver, npu-smi
access            whether the user may open the NPUs
containers        what was not mounted
cann              installs, which one wins, whether it was sourced
libraries         what the libraries that torch_npu needs resolve to
versions          torch, torch_npu, CANN and Python
abi               C++ ABI, Python's ABI, architecture, C library
environment       LD_PRELOAD, LD_LIBRARY_PATH, PYTHONPATH
pythons           several Pythons, pip, installs that hide each other
compiler          C++ compiler, bisheng, ninja
cpu               instruction sets
memory            memory, cgroup limits, shared memory
cache             the build cache
torch_imports     whether torch and torch_npu can be imported
frameworks        what frameworks decide
"""

from __future__ import annotations

#: The families in the order of the report.
FAMILIES = (
    "devices",
    "access",
    "containers",
    "cann",
    "libraries",
    "versions",
    "abi",
    "environment",
    "pythons",
    "compiler",
    "cpu",
    "memory",
    "cache",
    "torch_imports",
    "frameworks",
)
