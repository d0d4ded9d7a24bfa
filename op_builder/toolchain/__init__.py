"""What a build depends on besides the op: compiler, Python, torch, the machine's limits.

In import order:

    cpu_info           the CPU's model and instruction-set features
    jobs               how many compilers may run at once
    environment        the variables that compilers may see
    flag_files         files that flags name, and flags that are refused
    tool_files         the programs behind a compiler's command
    torch_install      torch and torch_npu, without importing them
    identity           a compiler as a value
    probe              try a compiler
    linker             the linker that an op chooses
    compiler           find a C++ compiler that works
    detect             all of them as one value, `Toolchain`
"""

from .detect import Toolchain

__all__ = ["Toolchain"]
