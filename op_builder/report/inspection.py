"""What this machine has, and the state of each op, as values for reports."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import envs
from ..builder import OpBuilder
from ..cache.layers import Layer, layers
from ..cache.lock import lock_folder
from ..cann import CannInstall, compatibility
from ..errors import AscendOpsError, CannNotFoundError, CompilerNotFoundError, IncompatibleOpError
from ..remote.server import shown
from ..toolchain.detect import Toolchain
from ..toolchain.jobs import compile_jobs
from ..toolchain.torch_install import find_torch, find_torch_npu

_IMPORT_FAILS = (
    "torch_npu is installed, but CANN was not found: `import torch` loads torch_npu by itself and "
    "fails because libhccl.so is missing. Source CANN's set_env.sh, or set "
    "TORCH_DEVICE_BACKEND_AUTOLOAD=0 to use torch without an NPU, also for `pip install "
    "deepspeed`, whose setup imports torch, or use the emulated NPU: `ascend-ops emulate -- python "
    "...`. `ascend-ops doctor` gives the commands for this machine."
)


@dataclass(frozen=True)
class OpState:
    """The state of an op on this machine.

    Attributes:
        op: The op's name.
        state: ``prebuilt``, ``cached``, ``buildable`` or ``unavailable``.
        origin: The module that declares the op.
        library: The file that would be loaded, if the op is built.
        build_seconds: How long the build took, if the op is built.
        reasons: Why the state is not a better one.
    """

    op: str
    state: str
    origin: str
    library: Path | None = None
    build_seconds: float | None = None
    reasons: list[str] = field(default_factory=list)


def op_state(builder: OpBuilder, environ: Mapping[str, str] | None = None) -> OpState:
    """Return the state of one op; starts no process except for the first probe of a compiler.

    Args:
        builder: The op's builder.
        environ: The environment that decides; this process's by default.

    Example:
        >>> from op_builder import CPUAdamBuilder
        >>> from op_builder.report.inspection import op_state
        >>> op_state(CPUAdamBuilder()).op
        'cpu_adam'
    """
    origin = type(builder).__module__
    try:
        plan = builder.plan(environ)
        lookup = plan.find()
    except IncompatibleOpError as error:
        return OpState(builder.NAME, "unavailable", origin, reasons=list(error.reasons))
    except AscendOpsError as error:
        return OpState(builder.NAME, "unavailable", origin, reasons=[str(error)])
    if lookup.entry is not None:
        state = "prebuilt" if lookup.entry.layer == "prebuilt" else "cached"
        seconds = lookup.entry.manifest.build_seconds
        return OpState(builder.NAME, state, origin, lookup.entry.library, seconds, lookup.refusals)
    if not envs.JIT.get(plan.environ):
        reasons = [f"{envs.JIT.name}=0 disables building it", *lookup.refusals]
        return OpState(builder.NAME, "unavailable", origin, reasons=reasons)
    try:
        plan.toolchain.compiler()
    except CompilerNotFoundError as error:
        return OpState(builder.NAME, "unavailable", origin, reasons=[str(error), *lookup.refusals])
    return OpState(builder.NAME, "buildable", origin, reasons=lookup.refusals)


@dataclass(frozen=True)
class Component:
    """Something that ops depend on.

    Attributes:
        name: The component's name.
        version: Its version, or None if it is missing.
        detail: Its location, or the reason why it is missing.
        looked_at: The places that were searched without success, each with the reason.
    """

    name: str
    version: str | None
    detail: str
    looked_at: list[str] = field(default_factory=list)


def components(toolchain: Toolchain) -> list[Component]:
    """Return Python, torch, torch_npu, CANN and the compiler, without importing or loading them."""
    found = [Component("Python", sys.version.split()[0], sys.executable)]
    for name, install in (("torch", find_torch()), ("torch_npu", find_torch_npu())):
        version, detail = (
            (install.version, str(install.root)) if install else (None, "not installed")
        )
        found.append(Component(name, version, detail))
    try:
        cann = CannInstall.find(toolchain.environ)
        emulated = ", emulated" if _is_emulated(cann, toolchain) else ""
        detail = f"{cann.root}, {cann.found_by}{emulated}"
        found.append(Component("CANN", str(cann.version or "unknown"), detail))
    except CannNotFoundError as error:
        found.append(_missing("CANN", error.refusals))
    try:
        compiler = toolchain.compiler()
        version = f"{compiler.family} {compiler.version}"
        found.append(Component("compiler", version, " ".join(compiler.command)))
    except CompilerNotFoundError as error:
        found.append(_missing("compiler", error.refusals))
    jobs = compile_jobs(toolchain.environ)
    found.append(Component("compile jobs", str(jobs.count), f"limited by {jobs.reason}"))
    return found


def _missing(name: str, refusals: Sequence[str]) -> Component:
    return Component(name, None, "; ".join(refusals), list(refusals))


def _is_emulated(cann: CannInstall, toolchain: Toolchain) -> bool:
    return envs.EMULATOR_HOME.get(toolchain.environ) == cann.root


@dataclass(frozen=True)
class Place:
    """A folder that is searched for ops, the URL of the remote cache, or the folder of locks."""

    name: str
    path: Path | str
    state: str


def places(environ: Mapping[str, str], prebuilt: Path) -> list[Place]:
    """Return the layers of the cache, in search order, and the folder of the locks.

    The remote cache is not contacted.
    """
    found = [
        Place(layer.name, layer.root, _place_state(layer)) for layer in layers(environ, prebuilt)
    ]
    url = envs.REMOTE_CACHE.get(environ)
    if url:
        accepted = "signed entries" if envs.REMOTE_KEYS.get(environ) else "any entry"
        found.append(Place("remote", shown(url), f"read-only, {accepted}"))
    folder = lock_folder(environ)
    return [*found, Place("locks", folder, "exists" if _is_folder(folder) else "not created yet")]


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir may raise PermissionError


def _place_state(layer: Layer) -> str:
    danger = layer.danger()
    if danger is not None:
        return f"refused: {danger}"
    if not _is_folder(layer.root):
        return "empty" if layer.shipped else "not created yet"
    if layer.shipped or not os.access(layer.root, os.W_OK):
        return "read-only"
    return "writable"


def version_findings(toolchain: Toolchain) -> list[compatibility.Finding]:
    """Return the mismatches among torch, torch_npu and CANN.

    The emulated CANN fits any torch_npu, since it is compiled against its headers.
    """
    if toolchain.torch is None:
        return []
    torch_npu = None if toolchain.torch_npu is None else toolchain.torch_npu.version
    try:
        cann = CannInstall.find(toolchain.environ)
    except CannNotFoundError:
        found = compatibility.check(toolchain.torch.version, torch_npu, None, sys.version_info[:2])
        missing = [] if torch_npu is None else [compatibility.Finding("warning", _IMPORT_FAILS)]
        return [*found, *missing]
    judged = None if _is_emulated(cann, toolchain) else cann.version
    return compatibility.check(toolchain.torch.version, torch_npu, judged, sys.version_info[:2])
