"""The begin of a program that builds a source of tests/emulator/kernels and loads its library."""

from __future__ import annotations

from pathlib import Path

KERNELS = Path(__file__).resolve().parent / "kernels"
_BEGIN = """
import ctypes, json
import torch, torch_npu
from pathlib import Path
from op_builder import AscendCOpBuilder

class KernelsBuilder(AscendCOpBuilder):
    NAME = {name!r}
    BUILD_VAR = "DS_BUILD_KERNELS"
    BINDING = "ctypes"

    def sources(self):
        return [{name!r} + ".asc"]

    def source_root(self):
        return Path({root!r})

library = KernelsBuilder().load()
stream = ctypes.c_void_p(torch.npu.current_stream().npu_stream)
"""


def library_of(name: str) -> str:
    """Return a program that sets ``library`` and ``stream``, torch_npu's current one.

    Args:
        name: The source, without its suffix.
    """
    return _BEGIN.format(name=name, root=str(KERNELS))
