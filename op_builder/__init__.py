"""From a builder class to a loaded module.

Importing it starts no process, makes no folder and imports no torch. In import order:

    errors, envs, process       what fails and how it is said; the environment; subprocesses
    file_identity, memo         contents by digest, remembered by file status
    toolchain                   compiler, Python, torch, job count
    cann                        the CANN install and which torch_npu it goes with
    spec, ninja                 what a build consists of, its text, its run
    cache                       keys, entries, layers, lock
    loader, jit, bindings       a library into the process; found or built; per-binding settings
    builder, cpu, npu           the classes that an op derives from
    ops, registry               this project's ops, and everybody's
    setuptools_command          ahead-of-time builds
"""

from __future__ import annotations

from .builder import OpBuilder
from .cpu import CPUOpBuilder
from .errors import AscendOpsError
from .ops.cpu_adam import CPUAdamBuilder
from .registry import ALL_OPS, all_builders, builder_of
from .version import __version__

__all__ = [
    "ALL_OPS",
    "AscendOpsError",
    "CPUAdamBuilder",
    "CPUOpBuilder",
    "OpBuilder",
    "__version__",
    "all_builders",
    "builder_of",
]
