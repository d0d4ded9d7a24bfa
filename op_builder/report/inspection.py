"""The components of this machine and the state of each op, as values for reports."""

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
from ..toolchain.detect import Toolchain
from ..toolchain.jobs import compile_jobs
from ..toolchain.torch_install import find_torch, find_torch_npu

_IMPORT_FAILS = (
    "torch_npu is installed but no CANN was found: `import torch` loads torch_npu by itself and "
    "fails because libhccl.so is missing. Source CANN's set_env.sh, or set "
    "TORCH_DEVICE_BACKEND_AUTOLOAD=0 to use torch without the NPU, or run on an emulated NPU: "
    "`ascend-ops emulate -- python ...`."
)


@dataclass(frozen=True)
class OpState:
    """The state of one op: prebuilt, cached, buildable or unavailable.

    ``reasons`` explain why a better state is not reached. ``origin`` is the module that declares
    the op, ``library`` the file that a load would use.
    """

    op: str
    state: str
    origin: str
    library: Path | None = None
    build_seconds: float | None = None
    reasons: list[str] = field(default_factory=list)


def op_state(builder: OpBuilder, environ: Mapping[str, str] | None = None) -> OpState:
    """Return the state of one op; starts no process except the first probe of a compiler."""
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
        reasons = [f"{envs.JIT.name}=0 forbids building it", *lookup.refusals]
        return OpState(builder.NAME, "unavailable", origin, reasons=reasons)
    try:
        plan.toolchain.compiler()
    except CompilerNotFoundError as error:
        return OpState(builder.NAME, "unavailable", origin, reasons=[str(error), *lookup.refusals])
    return OpState(builder.NAME, "buildable", origin, reasons=lookup.refusals)


@dataclass(frozen=True)
class Component:
    """Something the ops depend on: its version and path, or the reason why it is missing.

    ``looked_at`` lists the places that were searched without success, each with its reason.
    """

    name: str
    version: str | None
    detail: str
    looked_at: list[str] = field(default_factory=list)


def components(toolchain: Toolchain) -> list[Component]:
    """Return Python, torch, torch_npu, CANN and the compiler; imports and loads none of them."""
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
    """A folder that is searched for ops, or that contains locks."""

    name: str
    path: Path
    state: str


def places(environ: Mapping[str, str], prebuilt: Path) -> list[Place]:
    """Return the layers of the cache in search order, and the folder of the locks."""
    found = [
        Place(layer.name, layer.root, _place_state(layer)) for layer in layers(environ, prebuilt)
    ]
    folder = lock_folder(environ)
    return [*found, Place("locks", folder, "there" if _is_folder(folder) else "not made yet")]


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises if it may not look


def _place_state(layer: Layer) -> str:
    danger = layer.danger()
    if danger is not None:
        return f"refused: {danger}"
    if not _is_folder(layer.root):
        return "empty" if layer.shipped else "not made yet"
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
        found = compatibility.check(toolchain.torch.version, torch_npu, None)
        missing = [] if torch_npu is None else [compatibility.Finding("warning", _IMPORT_FAILS)]
        return [*found, *missing]
    judged = None if _is_emulated(cann, toolchain) else cann.version
    return compatibility.check(toolchain.torch.version, torch_npu, judged)
