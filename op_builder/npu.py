"""The base class of ops that are compiled against CANN and torch_npu."""

from __future__ import annotations

from typing import ClassVar

from .builder import OpBuilder
from .cann import CannInstall, compatibility
from .errors import CannNotFoundError
from .lazy_dataclass import replace
from .recipe.spec import BuildSpec
from .toolchain.detect import Toolchain
from .toolchain.torch_install import PackageInstall

# The folders of torch_npu's headers. NpuExtension passes the first and that of HCCL; op-plugin's
# examples add the others, which EXEC_NPU_CMD and EXEC_NPU_CMD_EXT require.
_TORCH_NPU_FOLDERS = (
    "",
    "/third_party/acl/inc",
    "/third_party/hccl/inc",
    "/third_party/op-plugin",
    "/third_party/op-plugin/op_plugin/include",
)


class NPUOpBuilder(OpBuilder):
    """The base class of ops that are compiled against CANN and torch_npu.

    A build requires their files, but no device, no driver and no working ``import torch_npu``
    (vllm-ascend #6816, #7278; DeepSpeed #2010).

    Attributes:
        USES_TORCH_NPU: False for an op that only calls AscendCL.

    Example:
        >>> from op_builder import NPUOpBuilder
        >>> class DeviceCountBuilder(NPUOpBuilder):
        ...     NAME = "device_count"
        ...     BUILD_VAR = "DS_BUILD_DEVICE_COUNT"
        ...     BINDING = "ctypes"
        ...     USES_TORCH_NPU = False
        ...
        ...     def sources(self) -> list[str]:
        ...         return ["device_count.cpp"]  # includes acl/acl.h
        >>> DeviceCountBuilder().sources()
        ['device_count.cpp']
    """

    USES_TORCH_NPU: ClassVar[bool] = True

    def compatibility(self, toolchain: Toolchain) -> list[str]:
        """Return the reasons of the binding, of CANN, and of versions that do not match."""
        reasons = super().compatibility(toolchain)
        if toolchain.is_cross:
            reasons.append(
                f"an op that links CANN cannot be built for {toolchain.machine} on another machine"
            )
            return reasons
        cann: CannInstall | None = None
        try:
            cann = CannInstall.find(toolchain.environ)
        except CannNotFoundError as error:
            reasons.append(str(error))
        if self.USES_TORCH_NPU and toolchain.torch_npu is None:
            reasons.append("torch_npu is not installed: `pip install torch_npu`")
        return reasons + _mismatches(toolchain, cann)

    def spec(self, toolchain: Toolchain) -> BuildSpec:
        """Return the op's spec, with CANN's folders before those of torch_npu.

        Both ship ``acl/acl_rt.h`` with the same include guard, so the first one found is used
        (vllm-ascend #17059).
        """
        spec = super().spec(toolchain)
        cann = CannInstall.find(toolchain.environ)
        roots = dict(spec.roots)
        include_dirs, cxx_flags, ld_flags = [], [], []
        for index, folder in enumerate(cann.include_dirs):
            roots[f"cann_include_{index}"] = folder
            include_dirs.append(f"cann_include_{index}")
        for index, folder in enumerate((*cann.library_dirs, *cann.stub_library_dirs)):
            roots[f"cann_library_{index}"] = folder
            ld_flags.append(f"-Lcann_library_{index}")
        ld_flags.append("-lascendcl")
        bound_to = {**spec.bound_to, "cann": str(cann.version or "of unknown version")}
        if self.USES_TORCH_NPU and toolchain.torch_npu is not None:
            roots["torch_npu"] = toolchain.torch_npu.root
            include_dirs += [f"torch_npu/include{folder}" for folder in _TORCH_NPU_FOLDERS]
            ld_flags += ["-Ltorch_npu/lib", "-ltorch_npu"]
            bound_to["torch_npu"] = _described(toolchain.torch_npu)
            cxx_flags.append(_op_plugin_version(toolchain.torch_npu))
        own = len(self.include_paths())
        return replace(
            spec,
            roots=roots,
            bound_to=bound_to,
            include_dirs=(*spec.include_dirs[:own], *include_dirs, *spec.include_dirs[own:]),
            cxx_flags=(*cxx_flags, *spec.cxx_flags),
            ld_flags=(*spec.ld_flags, *ld_flags),
        )


def _op_plugin_version(torch_npu: PackageInstall) -> str:
    """Return the definition of the torch version that op-plugin's headers are compiled for.

    Without it they assume torch 2.1, and include a header that torch 2.13 does not have.
    """
    major, minor = (*torch_npu.release, 0, 0)[:2]
    return f"-DCURRENT_VERSION=V{major}R{minor}"


def _described(package: PackageInstall) -> str:
    return f"{package.version} {package.revision[:12]}".rstrip()


def _mismatches(toolchain: Toolchain, cann: CannInstall | None) -> list[str]:
    if toolchain.torch is None or toolchain.torch_npu is None:
        return []
    version = cann.version if cann else None
    findings = compatibility.check(toolchain.torch.version, toolchain.torch_npu.version, version)
    return [finding.message for finding in findings if finding.severity == "error"]
