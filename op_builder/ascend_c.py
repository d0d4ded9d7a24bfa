"""The base class of ops with device kernels written in Ascend C."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from . import envs
from .builder import OpBuilder
from .cann import CannInstall
from .cann.npu_arch import NpuArch, arch_of
from .errors import AscendOpsError, CannNotFoundError, CompilerNotFoundError
from .jit.memoized_hit import HitMemo, hit_memo
from .jit.plan import Plan
from .lazy_dataclass import replace
from .npu import NPUOpBuilder
from .recipe.spec import BuildSpec
from .toolchain.detect import Toolchain

#: Where a CANN has its compiler for kernels, relative to its root.
_BISHENG = (Path("bin", "bisheng"), Path("compiler", "ccec_compiler", "bin", "bisheng"))
_ADVICE = (
    "Install the CANN toolkit (the runtime packages have no compiler), or run on the emulated NPU: "
    "ascend-ops emulate -- python ..."
)
#: The first CANN whose compiler takes ``-x asc`` and ``--npu-arch``.
_FIRST_WITH_ASC = (8, 3)
_CORE_TYPES = {"vector": "VecCore", "cube": "CubeCore", "mix": "AICore"}


class AscendCOpBuilder(NPUOpBuilder):
    """The base class of ops with kernels in Ascend C, which CANN's ``bisheng`` compiles.

    Files of :meth:`sources` that end in ``.asc`` contain kernels and the functions that launch
    them. Other files are host code and may include torch's headers; a file with kernels should
    not, so that it compiles in seconds. On the emulated CANN the kernels run on the emulated AI
    core.

    Attributes:
        NPU_ARCH: The architecture to compile for, for example ``dav-2201``. By default it is that
            of ASCEND_OPS_SOC, of the emulated NPU, or of the device.
        CORES: ``vector``, ``cube`` or ``mix``: where the kernels run. Only a CANN before 8.3
            requires it.
        DUMP: Let ``printf``, ``DumpTensor`` and ``assert`` of the kernels print, which costs time.

    Example:
        >>> from op_builder import AscendCOpBuilder
        >>> class AddBuilder(AscendCOpBuilder):
        ...     NAME = "add_kernel"
        ...     BUILD_VAR = "DS_BUILD_ADD_KERNEL"
        ...     BINDING = "ctypes"
        ...     NPU_ARCH = "dav-2201"
        ...
        ...     def sources(self) -> list[str]:
        ...         return ["add.asc"]
        >>> AddBuilder().npu_arch().number
        2201
    """

    USES_TORCH_NPU: ClassVar[bool] = False
    NPU_ARCH: ClassVar[str] = ""
    CORES: ClassVar[str] = "vector"
    DUMP: ClassVar[bool] = False

    def npu_arch(self) -> NpuArch:
        """Return the architecture to compile for.

        Raises:
            AscendOpsError: Nothing names a SoC, or the SoC is not known.
        """
        name = self.NPU_ARCH or envs.SOC.get() or _soc_of_process()
        if not name:
            raise AscendOpsError(
                f"{self.NAME}: no device tells for which SoC to compile. Set ASCEND_OPS_SOC, for "
                f"example ASCEND_OPS_SOC=Ascend910B2, or NPU_ARCH in {type(self).__name__}."
            )
        return arch_of(name)

    def toolchain(self, environ: Mapping[str, str] | None = None) -> Toolchain:
        """Return the toolchain whose compiler is CANN's.

        Without one it is the environment's, with which nothing is compiled: :meth:`compatibility`
        has the reason.
        """
        environ = envs.process_environment() if environ is None else environ
        try:
            bisheng = find_bisheng(CannInstall.find(environ))
        except (CannNotFoundError, CompilerNotFoundError):
            return super().toolchain(environ)
        return super().toolchain({**environ, envs.CXX.name: str(bisheng)})

    def compatibility(self, toolchain: Toolchain) -> list[str]:
        """Return the base's reasons, and whether the compiler or the SoC cannot be determined."""
        reasons = super().compatibility(toolchain)
        try:
            find_bisheng(CannInstall.find(toolchain.environ))
            self.npu_arch()
        except CannNotFoundError:
            pass  # the base has reported it
        except AscendOpsError as error:
            reasons.append(str(error))
        return reasons

    def plan(
        self, environ: Mapping[str, str] | None = None, toolchain: Toolchain | None = None
    ) -> Plan:
        """Return the plan of the base with CANN's compiler, whichever compiler others use."""
        if toolchain is not None:
            environ = toolchain.environ
        return super().plan(environ, self.toolchain(environ))

    def source_flags(self) -> Mapping[str, list[str]]:
        """Return the flags that make the compiler treat ``.asc`` files as kernels."""
        kernels = [name for name in self.sources() if name.endswith(".asc")]
        return dict.fromkeys(kernels, self._kernel_flags()) if kernels else {}

    def spec(self, toolchain: Toolchain) -> BuildSpec:
        """Return the base's spec, bound to the architecture."""
        spec = super().spec(toolchain)
        return replace(spec, bound_to={**spec.bound_to, "npu_arch": self.npu_arch().name})

    def _hit_memo(self, environ: Mapping[str, str]) -> HitMemo | None:
        """Return where a hit is memoized, for this architecture and this CANN.

        None for a class that overrides what :meth:`OpBuilder._hit_memo` must know completely.
        """
        for name in ("compatibility", "toolchain", "spec", "plan", "_sources", "_torch_target"):
            found = getattr(type(self), name)
            if found not in (getattr(AscendCOpBuilder, name), getattr(OpBuilder, name)):
                return None
        if self.BINDING != "ctypes" or self.USES_TORCH_NPU:
            return None
        try:
            cann = CannInstall.find(environ)
            device = [self.npu_arch().name, str(cann.root), str(cann.version)]
            declared = [*self._declared(), *device]
            compiler = {envs.CXX.name: str(find_bisheng(cann))}
            return hit_memo(declared, self.uses_torch(), {**environ, **compiler})
        except Exception:  # noqa: BLE001 - the plan reports it
            return None

    def _kernel_flags(self) -> list[str]:
        arch = self.npu_arch()
        # Public kernels expect that their launchers can be found, as without a builder.
        common = ["-fvisibility=default", f"-DASCENDC_DUMP={int(self.DUMP)}"]
        version = CannInstall.find().version
        if version is None or version.release_line >= _FIRST_WITH_ASC:
            return ["-x", "asc", f"--npu-arch={arch.name}", *common]
        soc = envs.SOC.get() or arch.soc
        cores = _CORE_TYPES[self.CORES]
        return ["-xcce", f"--cce-soc-version={soc}", f"--cce-soc-core-type={cores}", *common]


def find_bisheng(cann: CannInstall) -> Path:
    """Return CANN's compiler for kernels in Ascend C.

    Raises:
        CompilerNotFoundError: The CANN has no ``bisheng``.
    """
    tried = [cann.root / path for path in _BISHENG]
    for program in tried:
        if os.access(program, os.X_OK):
            return program
    raise CompilerNotFoundError(
        "CANN's compiler bisheng", [f"{program}: not found" for program in tried], _ADVICE
    )


def _soc_of_process() -> str:
    """Return the SoC that AscendCL reports, if this process has loaded it; else "".

    The emulated NPU's is known before it is loaded.
    """
    if envs.EMULATOR_HOME.get():
        return envs.EMULATOR_SOC.get()
    try:
        library = ctypes.CDLL("libascendcl.so", mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    except OSError:
        return ""
    library.aclrtGetSocName.restype = ctypes.c_char_p
    return (library.aclrtGetSocName() or b"").decode()
