"""Builders of the emulated NPU: the CANN libraries that torch_npu is linked against, on the host.

Each is an op of its own, so that a change builds little and each is found in the cache like any
other; none is linked against another. ``ascend_ops.emulator`` makes a CANN folder of them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from ..cpu import CPUOpBuilder
from ..recipe.spec import BuildSpec
from ..toolchain.detect import Toolchain
from ..toolchain.torch_install import find_torch_npu
from .own_op import OwnOp

#: The AscendCL headers come with the wheel; CANN's own are not needed and not copied.
ACL_HEADERS = Path("include", "third_party", "acl", "inc")
_HCCL_HEADERS = Path("include", "third_party", "hccl", "inc")

# The headers export what they declare only so; deprecated functions have to be there too.
_ACL_FLAGS = ("-DFUNC_VISIBILITY", "-Wno-deprecated-declarations")


class EmulatorLibrary(OwnOp, CPUOpBuilder):
    """One library. ``LIBRARY`` is its name in CANN's ``lib64``, and its soname.

    ``SOURCES`` are files and folders of ``csrc/emulator``: a file that is added to such a folder is
    compiled without being listed.
    """

    BUILD_VAR = "DS_BUILD_EMULATOR"
    BINDING = "ctypes"
    ONLY_BY_NAME = True  # an image for real NPUs has no use for it
    LIBRARY: ClassVar[str]
    SOURCES: ClassVar[tuple[str, ...]]

    def sources(self) -> list[str]:
        """The files of ``csrc/emulator`` that make it, in the order of ``SOURCES``."""
        root = self.source_root()
        found: list[str] = []
        for name in self.SOURCES:
            place = root / "emulator" / name
            files = sorted(place.rglob("*.cpp")) if place.suffix == "" else [place]
            found += [str(file.relative_to(root)) for file in files]
        return found

    def include_paths(self) -> list[str | Path]:
        """This project's headers, then the AscendCL ones of the torch_npu wheel."""
        package = find_torch_npu()
        headers = [] if package is None else [package.root / ACL_HEADERS]
        return [".", *headers]

    def cxx_args(self) -> list[str]:
        """Of all libraries."""
        return ["-O2", *_ACL_FLAGS]

    def extra_ldflags(self) -> list[str]:
        """The soname by which torch_npu's libraries find it once it is loaded."""
        return [f"-Wl,-soname,{self.LIBRARY}", "-Wl,-z,defs", "-ldl", "-lpthread"]

    def compatibility(self, toolchain: Toolchain) -> list[str]:
        """It is of use only beside torch_npu, and compiled against its headers."""
        reasons = super().compatibility(toolchain)
        if toolchain.torch_npu is None:
            reasons.append("torch_npu is not installed: `pip install torch_npu`")
        return reasons

    def spec(self, toolchain: Toolchain) -> BuildSpec:
        """Bound to the torch_npu whose headers it was compiled against."""
        spec = super().spec(toolchain)
        package = toolchain.torch_npu
        version = "none" if package is None else f"{package.version} {package.revision[:12]}"
        return replace(spec, bound_to={**spec.bound_to, "torch_npu": version.rstrip()})


class EmulatorRuntimeBuilder(EmulatorLibrary):
    """``emulator_runtime``: devices, memory, streams, events, graphs, checks, faults, traces."""

    NAME = "emulator_runtime"
    LIBRARY = "libascendcl.so"
    SOURCES = ("options", "checks", "faults", "trace", "runtime")


class EmulatorOperatorsBuilder(EmulatorLibrary):
    """``emulator_operators``: the aclnn functions, computed by ATen."""

    NAME = "emulator_operators"
    LIBRARY = "libopapi.so"
    SOURCES = ("aten", "aclnn", "ops")  # the longest compile first

    def uses_torch(self) -> bool:
        """Two files in ``aten/`` include its headers."""
        return True

    def cxx_args(self) -> list[str]:
        """The time goes into ATen and not in here: -O1 compiles a third faster."""
        return ["-O1", *_ACL_FLAGS, "-DAT_PER_OPERATOR_HEADERS"]


class EmulatorSingleOpBuilder(EmulatorLibrary):
    """``emulator_single_op``: the single-operator (aclop) interface."""

    NAME = "emulator_single_op"
    LIBRARY = "libacl_op_compiler.so"
    SOURCES = ("single_op",)


class EmulatorHcclBuilder(EmulatorLibrary):
    """``emulator_hccl``: collectives between processes of one machine."""

    NAME = "emulator_hccl"
    LIBRARY = "libhccl.so"
    SOURCES: ClassVar[tuple[str, ...]] = ("hccl",)

    def include_paths(self) -> list[str | Path]:
        """HCCL's headers lie apart from AscendCL's."""
        package = find_torch_npu()
        return [
            *super().include_paths(),
            *([] if package is None else [package.root / _HCCL_HEADERS]),
        ]


class EmulatorHcommBuilder(EmulatorHcclBuilder):
    """``emulator_hcomm``: what torch_npu looks for there, passed on to libhccl."""

    NAME = "emulator_hcomm"
    LIBRARY = "libhcomm.so"
    SOURCES = ("hcomm.cpp",)


class _EmptyLibrary(EmulatorLibrary):
    """A library that torch_npu's libraries name as needed and call nothing in."""

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


#: In the order in which they can be loaded one after another.
EMULATOR_LIBRARIES: tuple[type[EmulatorLibrary], ...] = (
    EmulatorRuntimeBuilder,
    EmulatorSingleOpBuilder,
    EmulatorHcclBuilder,
    EmulatorGeRunnerBuilder,
    EmulatorGraphBuilder,
    EmulatorTdtChannelBuilder,
    EmulatorHcommBuilder,
    EmulatorOperatorsBuilder,
)
