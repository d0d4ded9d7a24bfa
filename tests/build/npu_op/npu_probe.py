"""Two NPU ops with one source, one for torch_npu and one for AscendCL alone."""

from __future__ import annotations

from op_builder import NPUOpBuilder


class ProbeBuilder(NPUOpBuilder):
    NAME = "npu_probe"
    BUILD_VAR = "DS_BUILD_NPU_PROBE"
    BINDING = "ctypes"

    def sources(self) -> list[str]:
        return ["probe.cpp"]


class BareProbeBuilder(ProbeBuilder):
    NAME = "bare_npu_probe"
    BUILD_VAR = "DS_BUILD_BARE_NPU_PROBE"
    USES_TORCH_NPU = False
