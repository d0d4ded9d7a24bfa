"""Builders of the emulated NPU: host versions of the CANN libraries that torch_npu needs.

Each library is an op of its own, so that a change rebuilds little and each is cached like any other
op. None is linked against another. ``ascend_ops.emulator`` assembles a CANN folder from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ..cpu import CPUOpBuilder
from ..lazy_dataclass import replace
from ..recipe.spec import BuildSpec
from ..toolchain.detect import Toolchain
from ..toolchain.torch_install import find_torch_npu
from .own_op import OwnOp

#: The AscendCL headers in the torch_npu wheel. CANN's own are not needed.
ACL_HEADERS = Path("include", "third_party", "acl", "inc")
HCCL_HEADERS = Path("include", "third_party", "hccl", "inc")

# FUNC_VISIBILITY makes the headers export what they declare, deprecated functions included.
_ACL_FLAGS = ("-DFUNC_VISIBILITY", "-Wno-deprecated-declarations")


class EmulatorLibrary(OwnOp, CPUOpBuilder):
    """One library. ``LIBRARY`` is its name in CANN's ``lib64``, and its soname.

    ``SOURCES`` are files and folders of ``csrc/emulator``. A file that you add to such a folder is
    compiled without being listed.
    """

    BUILD_VAR = "DS_BUILD_EMULATOR"
    BINDING = "ctypes"
    ONLY_BY_NAME = True  # an image for real NPUs does not need it
    SOURCES_PER_UNIT = 12  # most of a file's compile time is that of the headers and templates
    LIBRARY: ClassVar[str]
    SOURCES: ClassVar[tuple[str, ...]]

    def sources(self) -> list[str]:
        """Return the library's C++ files, in the order of ``SOURCES``."""
        root = self.source_root()
        found: list[str] = []
        for name in self.SOURCES:
            place = root / "emulator" / name
            files = sorted(place.rglob("*.cpp")) if place.suffix == "" else [place]
            found += [str(file.relative_to(root)) for file in files]
        return found

    def include_paths(self) -> list[str | Path]:
        """Return the folders of this project's headers and of the wheel's AscendCL headers."""
        package = find_torch_npu()
        headers = [] if package is None else [package.root / ACL_HEADERS]
        return [".", *headers]

    def cxx_args(self) -> list[str]:
        """Return the flags of all libraries."""
        return ["-O2", *_ACL_FLAGS]

    def extra_ldflags(self) -> list[str]:
        """Return the flags, with the soname by which torch_npu's libraries find the library."""
        return [f"-Wl,-soname,{self.LIBRARY}", "-Wl,-z,defs", "-ldl", "-lpthread"]

    def compatibility(self, toolchain: Toolchain) -> list[str]:
        """Return the base's reasons, and whether torch_npu, whose headers it needs, is missing."""
        reasons = super().compatibility(toolchain)
        if toolchain.torch_npu is None:
            reasons.append("torch_npu is not installed: `pip install torch_npu`")
        return reasons

    def spec(self, toolchain: Toolchain) -> BuildSpec:
        """Bind the library to the torch_npu whose headers it is compiled against."""
        spec = super().spec(toolchain)
        package = toolchain.torch_npu
        version = "none" if package is None else f"{package.version} {package.revision[:12]}"
        return replace(spec, bound_to={**spec.bound_to, "torch_npu": version.rstrip()})


class EmulatorRuntimeBuilder(EmulatorLibrary):
    """``emulator_runtime``: devices, memory, streams, events, graphs, checks, faults, traces."""

    NAME = "emulator_runtime"
    LIBRARY = "libascendcl.so"
    SOURCES = ("options", "checks", "faults", "trace", "runtime", "sys_param.cpp")


class EmulatorOperatorsBuilder(EmulatorLibrary):
    """``emulator_operators``: the aclnn functions, computed by ATen."""

    NAME = "emulator_operators"
    LIBRARY = "libopapi.so"
    SOURCES = ("aten", "aclnn", "ops")  # the longest compile first

    def uses_torch(self) -> bool:
        """Return True: two files in ``aten/`` include torch's headers."""
        return True

    def cxx_args(self) -> list[str]:
        """Return -O1, which compiles a third faster: the run time is spent in ATen, not here."""
        return ["-O1", *_ACL_FLAGS, "-DAT_PER_OPERATOR_HEADERS"]

    def extra_ldflags(self) -> list[str]:
        """Return the base's flags, and where a program's loader finds torch's libraries.

        The emulated CANN has a link to them, so that the library does not depend on their place.
        """
        return [*super().extra_ldflags(), "-Wl,-rpath,$ORIGIN/torch"]


class EmulatorSingleOpBuilder(EmulatorLibrary):
    """``emulator_single_op``: the single-operator (aclop) interface."""

    NAME = "emulator_single_op"
    LIBRARY = "libacl_op_compiler.so"
    SOURCES = ("single_op", "sys_param.cpp")


class EmulatorHcclBuilder(EmulatorLibrary):
    """``emulator_hccl``: collectives between processes of one machine."""

    NAME = "emulator_hccl"
    LIBRARY = "libhccl.so"
    SOURCES: ClassVar[tuple[str, ...]] = ("hccl",)

    def include_paths(self) -> list[str | Path]:
        """Return the base's folders and that of HCCL's headers."""
        package = find_torch_npu()
        return [
            *super().include_paths(),
            *([] if package is None else [package.root / HCCL_HEADERS]),
        ]


class EmulatorHcommBuilder(EmulatorHcclBuilder):
    """``emulator_hcomm``: the functions that torch_npu looks up there, passed on to libhccl."""

    NAME = "emulator_hcomm"
    LIBRARY = "libhcomm.so"
    SOURCES = ("hcomm.cpp",)


class EmulatorRtcBuilder(EmulatorLibrary):
    """``emulator_rtc``: aclrtc, which compiles kernels at run time with the emulated bisheng."""

    NAME = "emulator_rtc"
    LIBRARY = "libacl_rtc.so"
    SOURCES: ClassVar[tuple[str, ...]] = ("rtc",)

    def include_paths(self) -> list[str | Path]:
        """Return the base's folders and that of the header that the wheel lacks."""
        return [*super().include_paths(), "emulator/include"]


class EmulatorAscendCBuilder(EmulatorLibrary):
    """``emulator_ascendc``: the AI core on which kernels written in Ascend C run."""

    NAME = "emulator_ascendc"
    LIBRARY = "libascendc_emulated.so"
    SOURCES: ClassVar[tuple[str, ...]] = ("ascendc",)

    def include_paths(self) -> list[str | Path]:
        """Return the base's folders and that of the headers that kernels include."""
        return [*super().include_paths(), "emulator/include"]

    def cxx_args(self) -> list[str]:
        """Return the base's flags, and the one that lets kernels call the core."""
        return [*super().cxx_args(), "-fvisibility=default"]


class _EmptyLibrary(EmulatorLibrary):
    """A library that torch_npu's libraries are linked against without calling it."""

    SOURCES = ("empty.cpp",)


class EmulatorGeRunnerBuilder(_EmptyLibrary):
    """``emulator_ge_runner``: empty."""

    NAME = "emulator_ge_runner"
    LIBRARY = "libge_runner.so"


class EmulatorGraphBuilder(_EmptyLibrary):
    """``emulator_graph``: empty."""

    NAME = "emulator_graph"
    LIBRARY = "libgraph.so"


class EmulatorTdtChannelBuilder(_EmptyLibrary):
    """``emulator_tdt_channel``: empty."""

    NAME = "emulator_tdt_channel"
    LIBRARY = "libacl_tdt_channel.so"


#: All libraries, in loading order.
EMULATOR_LIBRARIES: tuple[type[EmulatorLibrary], ...] = (
    EmulatorRuntimeBuilder,
    EmulatorSingleOpBuilder,
    EmulatorHcclBuilder,
    EmulatorGeRunnerBuilder,
    EmulatorGraphBuilder,
    EmulatorTdtChannelBuilder,
    EmulatorHcommBuilder,
    EmulatorRtcBuilder,
    EmulatorAscendCBuilder,
    EmulatorOperatorsBuilder,
)
