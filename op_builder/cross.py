"""Ahead-of-time builds for another CPU, with a cross compiler.

The library, its recipe and its place in a cache are those that a build on the other machine gives,
so that machine finds it like any shipped one. Nothing of the other machine is required: an op on
torch's stable ABI is linked against a stand-in for ``libtorch_cpu.so``, which defines the C
functions that the torch of this machine has.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .builder import OpBuilder
from .cache.layers import Layer
from .cann.layout import normal_machine
from .errors import AscendOpsError, CompilerNotFoundError, IncompatibleOpError
from .jit.publish import build_into
from .lazy_dataclass import replace
from .system import process
from .system.elf import read_library

if TYPE_CHECKING:
    from .cache.entry import Entry
    from .jit.run_ninja import ProgressListener
    from .toolchain.detect import Toolchain
    from .toolchain.identity import Compiler
    from .toolchain.torch_install import PackageInstall

_LIBRARY = "libtorch_cpu.so"


def builder_for(op: type[OpBuilder], machine: str) -> OpBuilder:
    """Return a builder of an op for another machine, which cannot load it here.

    Args:
        op: The builder class.
        machine: The machine, as ``uname -m`` prints it there.

    Raises:
        ValueError: ``machine`` is not the name of a machine.

    Example:
        >>> from op_builder import CPUAdamBuilder
        >>> from op_builder.cross import builder_for
        >>> builder_for(CPUAdamBuilder, "arm64").toolchain().target
        'linux-aarch64'
    """
    if not machine.replace("_", "").isalnum() or not machine.isascii():
        raise ValueError(f"machine must be a name like aarch64, got {machine!r}")
    builder = copy.copy(op())
    builder.machine = normal_machine(machine)
    return builder


def build_for_machine(
    builder: OpBuilder,
    folder: Path,
    on_progress: ProgressListener | None = None,
    *,
    again: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Entry:
    """Build an op into a folder that its machine uses as its site cache.

    Args:
        builder: The result of :func:`builder_for`.
        folder: The folder, which is created if it does not exist.
        on_progress: Called after each step of the build.
        again: Build even if the folder has a build of the op.
        environ: The environment that decides; this process's by default.

    Returns:
        The entry in ``folder``.

    Raises:
        IncompatibleOpError: The op cannot be built for that machine.
        CompilerNotFoundError: There is no compiler for that machine.
        BuildError: Compiling or linking failed.
        OSError: The folder cannot be written to.
    """
    layer = Layer("site", folder, shipped=True)
    layer.prepare()
    plan = replace(builder.plan(environ), layers=(layer,))
    if plan.toolchain.is_cross and plan.spec.uses_native:
        reason = f"-march=native is this machine's CPU, so it cannot be used for {builder.machine}"
        raise IncompatibleOpError(builder.NAME, [reason])
    found = None if again else plan.find().entry
    if found is not None:
        return found
    compiler = _compiler(plan.toolchain)
    if not plan.toolchain.is_cross or plan.toolchain.torch is None or builder.BINDING != "stable":
        return build_into(plan, layer, on_progress)
    with tempfile.TemporaryDirectory(prefix="ascend_ops_cross_") as temporary:
        torch = _stand_in(plan.toolchain.torch, compiler, Path(temporary))
        plan = replace(plan, toolchain=replace(plan.toolchain, torch=torch))
        plan = replace(
            plan, spec=replace(plan.spec, roots={**plan.spec.roots, "torch": torch.root})
        )
        return build_into(plan, layer, on_progress)


def _compiler(toolchain: Toolchain) -> Compiler:
    """Return the compiler, which must compile for the toolchain's machine."""
    machine = toolchain.machine
    package = f"g++-{machine.replace('_', '-')}-linux-gnu"
    advice = (
        f"Install a cross compiler, for example with `apt-get install {package}` (Debian, Ubuntu), "
        f"or set CXX to a compiler whose target is {machine}."
    )
    try:
        compiler = toolchain.compiler()
    except CompilerNotFoundError as error:
        raise CompilerNotFoundError(
            f"a C++ compiler for {machine}", error.refusals, advice
        ) from error
    if normal_machine(compiler.target.partition("-")[0]) != machine:
        refusal = f"{' '.join(compiler.command)}: compiles for {compiler.target}"
        raise CompilerNotFoundError(f"a C++ compiler for {machine}", [refusal], advice)
    return compiler


def _stand_in(torch: PackageInstall, compiler: Compiler, folder: Path) -> PackageInstall:
    """Create a torch with this one's headers and a library for the compiler's machine.

    The library is only linked against. It defines the C functions that torch's own defines, which
    are the same on every machine, so that the link still reports functions that do not exist.
    """
    own = read_library(torch.library_dir / _LIBRARY)
    if own is None:
        raise AscendOpsError(f"{torch.library_dir / _LIBRARY} must be a shared library")
    names = sorted(name for name in own.defined if name.isidentifier() and name[:2] != "_Z")
    source = folder / "stand_in.s"
    lines = (f".globl {name}\n.type {name}, %function\n{name}:\n" for name in names)
    source.write_text(".text\n" + "".join(lines), encoding="ascii")
    (folder / "lib").mkdir()
    (folder / "include").symlink_to(torch.root / "include", target_is_directory=True)
    flags = ["-shared", "-nostdlib", f"-Wl,-soname,{_LIBRARY}", "-o", f"lib/{_LIBRARY}"]
    process.run([*compiler.command, *flags, source.name], cwd=folder, env=compiler.environ)
    return replace(torch, root=folder)
