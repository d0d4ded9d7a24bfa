"""What a build depends on besides the op: compiler, Python, torch, the machine's limits."""

from .detect import Toolchain

__all__ = ["Toolchain"]
