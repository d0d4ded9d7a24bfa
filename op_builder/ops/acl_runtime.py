"""Builder of the AscendCL host module: pinned memory, streams, copies."""

from __future__ import annotations

from pathlib import Path

from ..cpu import CPUOpBuilder
from ..toolchain.detect import Toolchain
from ..toolchain.torch_install import find_torch
from .own_op import OwnOp


class AclRuntimeBuilder(OwnOp, CPUOpBuilder):
    """``acl_runtime``: the native part of ``ascend_ops.acl``.

    It is a CPUOpBuilder because it looks up AscendCL's functions by name at run time: it builds
    without CANN and runs with any version. From torch it needs only the bundled pybind11 headers;
    it links against nothing.
    """

    NAME = "acl_runtime"
    BUILD_VAR = "DS_BUILD_ACL_RUNTIME"
    BINDING = "python"

    def sources(self) -> list[str]:
        """Return the files, beginning with the pybind11 binding, which takes longest to compile."""
        names = ("binding", "pinned_pool", "stream", "runtime", "copy")
        return [f"acl/{name}.cpp" for name in names]

    def include_paths(self) -> list[str | Path]:
        """Return this project's headers, then torch's, which include pybind11's."""
        torch = find_torch()
        return [".", *([] if torch is None else [torch.root / "include"])]

    def cxx_args(self) -> list[str]:
        """Return ``-O1``: the code only passes arguments on, so optimizing it gains nothing."""
        return ["-O1"]

    def source_flags(self) -> dict[str, list[str]]:
        """Return ``-O0`` for the binding: -O1 takes a third longer and saves 1 us per call."""
        return {"acl/binding.cpp": ["-O0"]}

    def extra_ldflags(self) -> list[str]:
        """Return the libraries of ``dlsym`` and ``pthread_atfork``."""
        return ["-ldl", "-lpthread"]

    def compatibility(self, toolchain: Toolchain) -> list[str]:
        """Return the reasons of the base, and whether torch's headers are missing."""
        reasons = super().compatibility(toolchain)
        if toolchain.torch is None:
            reasons.append("torch is not installed: `pip install torch`")
        return reasons
