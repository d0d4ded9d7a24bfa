"""Builder of the host module on AscendCL: pinned memory, streams, copies."""

from __future__ import annotations

from pathlib import Path

from ..cpu import CPUOpBuilder
from ..toolchain.detect import Toolchain
from ..toolchain.torch_install import find_torch
from .own_op import OwnOp


class AclRuntimeBuilder(OwnOp, CPUOpBuilder):
    """``acl_runtime``: what ``ascend_ops.acl`` is made of.

    A CPUOpBuilder: AscendCL is found by name at run time, so it builds without CANN and runs with
    every one. Of torch it needs only the pybind11 headers that come with it, and links nothing.
    """

    NAME = "acl_runtime"
    BUILD_VAR = "DS_BUILD_ACL_RUNTIME"
    BINDING = "python"

    def sources(self) -> list[str]:
        """The one with pybind11, which takes longest, first."""
        names = ("binding", "pinned_pool", "stream", "runtime", "copy")
        return [f"acl/{name}.cpp" for name in names]

    def include_paths(self) -> list[str | Path]:
        """This project's headers, then torch's, for pybind11."""
        torch = find_torch()
        return [".", *([] if torch is None else [torch.root / "include"])]

    def cxx_args(self) -> list[str]:
        """It passes arguments on: optimizing more costs compile time and gains nothing."""
        return ["-O1"]

    def source_flags(self) -> dict[str, list[str]]:
        """pybind11's headers take a third longer at -O1, which saves a microsecond a call."""
        return {"acl/binding.cpp": ["-O0"]}

    def extra_ldflags(self) -> list[str]:
        """dlsym and pthread_atfork."""
        return ["-ldl", "-lpthread"]

    def compatibility(self, toolchain: Toolchain) -> list[str]:
        """It needs torch's headers, though not its libraries."""
        reasons = super().compatibility(toolchain)
        if toolchain.torch is None:
            reasons.append("torch is not installed: `pip install torch`")
        return reasons
