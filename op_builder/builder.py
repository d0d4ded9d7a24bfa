"""``OpBuilder``: what an op declares, and how the declaration becomes a loaded module.

A subclass is data: a name, sources, flags. The vocabulary is DeepSpeed's, which its users know;
docs/builders.md lists the differences.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from . import envs
from .errors import AscendOpsError, IncompatibleOpError
from .jit.memoized_hit import HitMemo, hit_memo, load_memoized

# A hit that is memoized needs none of what is imported in functions.
if TYPE_CHECKING:
    from .cache.entry import Entry
    from .jit.plan import Plan
    from .jit.run_ninja import ProgressListener
    from .op_extension import OpExtension
    from .recipe.spec import BuildSpec, Source
    from .recipe.torch_target import TorchTarget
    from .toolchain.detect import Toolchain

logger = logging.getLogger(__name__)

_loaded: dict[type[OpBuilder], Any] = {}
_locks: dict[type[OpBuilder], threading.RLock] = {}
_locks_guard = threading.Lock()


def _forget_locks() -> None:
    """Drop all locks: one that another thread held at a fork would never be released."""
    global _locks_guard
    _locks.clear()
    _locks_guard = threading.Lock()


os.register_at_fork(after_in_child=_forget_locks)


class OpBuilder:
    """Declare one op; subclass :class:`CPUOpBuilder` or :class:`NPUOpBuilder`, not this class.

    Attributes:
        NAME: The op's name, which is also the file name of its library.
        BUILD_VAR: The environment variable that builds the op ahead of time.
        BINDING: One of ``recipe.spec.BINDINGS``; it decides what :meth:`load` returns.
        NAMESPACE: The torch namespace in which the sources register their functions; ``NAME`` by
            default.
        ONLY_BY_NAME: True excludes the op from ``DS_BUILD_OPS`` and ``ascend-ops build --all``.
        REQUIRES: The builders of libraries that must be loaded before this one. They are built
            whenever this one is.
        SOURCES_PER_UNIT: How many sources are compiled together, by a file that includes them.
            More than one saves time if they share headers and templates; no name in an anonymous
            namespace may then be declared in two of the op's sources.

    Example:
        >>> from op_builder import CPUAdamBuilder
        >>> builder = CPUAdamBuilder()
        >>> builder.NAME, builder.BUILD_VAR
        ('cpu_adam', 'DS_BUILD_CPU_ADAM')
        >>> builder.is_compatible()
        True
    """

    NAME: ClassVar[str]
    BUILD_VAR: ClassVar[str]
    BINDING: ClassVar[str] = "stable"
    NAMESPACE: ClassVar[str] = ""
    ONLY_BY_NAME: ClassVar[bool] = False
    REQUIRES: ClassVar[tuple[type[OpBuilder], ...]] = ()
    SOURCES_PER_UNIT: ClassVar[int] = 1

    #: The machine that the op is built for, as ``aarch64``; see :mod:`op_builder.cross`.
    machine: str = os.uname().machine

    # What an op declares: override these.

    def absolute_name(self) -> str:
        """Return the dotted name of the op, unique among all packages."""
        return f"{type(self).__module__}.{self.NAME}"

    def sources(self) -> list[str]:
        """Return the C++ files, relative to :meth:`source_root`."""
        raise NotImplementedError(f"{type(self).__name__} must define sources()")

    def source_flags(self) -> Mapping[str, list[str]]:
        """Return flags for individual files, by their name in :meth:`sources`."""
        return {}

    def include_paths(self) -> Sequence[str | Path]:
        """Return the folders for ``-I``, relative to :meth:`source_root` or absolute."""
        return []

    def cxx_args(self) -> list[str]:
        """Return the flags for all files, which come after the default ones."""
        return []

    def extra_ldflags(self) -> list[str]:
        """Return the flags for linking, which come after the objects."""
        return []

    def compatibility(self, toolchain: Toolchain) -> list[str]:
        """Return every reason why the op cannot be built or used here; empty if it can.

        An override should extend what ``super().compatibility(toolchain)`` returns.
        """
        from .recipe.bindings import binding_refusals

        uses_torch, target = self.uses_torch(), self._torch_target()
        return binding_refusals(self.BINDING, toolchain, uses_torch, target)

    def uses_torch(self) -> bool:
        """Return whether a ``python`` or ``ctypes`` op includes torch's headers.

        The other bindings always do.
        """
        return False

    def source_root(self) -> Path:
        """Return the folder of :meth:`sources`; by default, that of the declaring file."""
        file = getattr(sys.modules[type(self).__module__], "__file__", None)
        if file is None:  # a notebook, or python -c
            name = type(self).__name__
            raise AscendOpsError(
                f"{name} must define source_root(), since its module {type(self).__module__!r} has "
                f"no file: return the absolute path of the folder that contains its sources()"
            )
        return Path(file).resolve().parent

    def prebuilt_dir(self) -> Path:
        """Return the folder of ahead-of-time builds; by default, next to the declaring file."""
        return self.source_root() / "prebuilt"

    def package(self) -> str:
        """Return the name to ``pip install`` to get the op; by default, its top-level package."""
        return type(self).__module__.partition(".")[0]

    # What every op can do.

    def is_compatible(self, verbose: bool = False) -> bool:
        """Return whether the op can be built and used on this machine.

        Args:
            verbose: Log every reason why it cannot, as warnings.
        """
        reasons = self.compatibility(self.toolchain())
        if verbose:
            for reason in reasons:
                logger.warning("%s: %s", self.NAME, reason)
        return not reasons

    def load(self, verbose: bool = False, on_progress: ProgressListener | None = None) -> Any:
        """Return the op's module, building it first if it is not cached.

        Args:
            verbose: Log the path of the library as a warning, which is shown by default.
            on_progress: Called after each step of a build.

        Returns:
            A ``ctypes.CDLL`` for the binding ``ctypes``; a module for the others. Each call in a
            process returns the same object.

        Raises:
            IncompatibleOpError: The op cannot be built on this machine, or is built for another.
            JitDisabledError: The op must be built, but ASCEND_OPS_JIT=0 disables that.
            CompilerNotFoundError: The op must be built, but there is no compiler.
            BuildError: Compiling or linking failed.
            CacheError: No cache folder can be written, or one is unsafe.
            LoadError: The library was built but cannot be loaded.
        """
        cls = type(self)
        self._refuse_other_machine()
        module = _loaded.get(cls)
        if module is not None:
            return module
        with _lock_of(cls):
            if cls not in _loaded:
                for required in self.REQUIRES:
                    required().load(verbose, on_progress)
                _loaded[cls], library = self._load(on_progress)
                logger.log(_level(verbose), "%s loaded from %s", self.NAME, library)
        return _loaded[cls]

    def _refuse_other_machine(self) -> None:
        here = type(self).machine
        if self.machine != here:
            reason = f"it is built for {self.machine}, and this machine is {here}"
            raise IncompatibleOpError(self.NAME, [f"{reason}: use op_builder.cross"])

    def _load(self, on_progress: ProgressListener | None) -> tuple[Any, Path]:
        """Return the module and the path of its library."""
        environ = envs.process_environment()
        known = self._hit_memo(environ)
        hit = None if known is None else load_memoized(known, self.prebuilt_dir(), environ)
        if hit is not None:
            return hit
        from .jit.load import load_op

        plan = self.plan()
        module, entry, is_new = load_op(plan, on_progress)
        if known is not None and not is_new:
            from .jit.hit_inputs import memoize_hit

            def plan_again() -> Plan | None:
                again = self.plan()
                return again if self._hit_memo(environ) == known else None

            memoize_hit(known, plan, entry, module, plan_again)
        return module, entry.library

    def _hit_memo(self, environ: Mapping[str, str]) -> HitMemo | None:
        """Return where a hit is memoized; None if it depends on more than can be known.

        What the class declares is read each time. A class that derives more than that itself may
        depend on anything, and so may the place of pybind11.
        """
        for name in ("compatibility", "toolchain", "spec", "plan", "_sources", "_torch_target"):
            if getattr(getattr(self, name), "__func__", None) is not getattr(OpBuilder, name):
                return None
        try:
            uses_torch = self.uses_torch()
            if self.BINDING == "python" and not uses_torch:
                return None
            needs_torch = uses_torch or self.BINDING != "ctypes"
            return hit_memo(self._declared(), needs_torch, environ)
        except Exception:  # noqa: BLE001 - the plan reports it
            return None

    def _declared(self) -> list[object]:
        """Return all that the class declares of the op, for the key of a memo."""
        declared: list[object] = [self.NAME, self.BINDING, self.NAMESPACE, self.uses_torch()]
        declared += [str(self.source_root()), self.sources(), dict(self.source_flags())]
        declared += [[str(path) for path in self.include_paths()], self.cxx_args()]
        return [*declared, self.extra_ldflags(), self.SOURCES_PER_UNIT]

    def jit_load(self, verbose: bool = False) -> Any:
        """Rebuild the op even if a cached build exists, and load it.

        A prebuilt library and a module that this process has loaded already take precedence, as in
        :meth:`load`, which raises the same errors.
        """
        self._refuse_other_machine()
        plan = self.plan()
        from .jit.publish import build

        built = build(plan, again=True)
        logger.log(_level(verbose), "%s built: %s", self.NAME, built.library)
        return self.load(verbose)

    def builder(self) -> OpExtension:
        """Return a setuptools extension that builds the op ahead of time.

        It is built by :class:`op_builder.setuptools_command.BuildOps`.
        """
        from .op_extension import OpExtension

        return OpExtension(self)

    # The steps of load(), which can also be called individually.

    def toolchain(self, environ: Mapping[str, str] | None = None) -> Toolchain:
        """Return the toolchain that an environment describes; this process's by default."""
        from .cache.layers import memo_folder
        from .toolchain.detect import Toolchain

        environ = envs.process_environment() if environ is None else environ
        return Toolchain.detect(environ, memo_folder(environ), self.machine)

    def spec(self, toolchain: Toolchain) -> BuildSpec:
        """Return the declaration, combined with the settings of its binding."""
        from .recipe.bindings import binding_settings
        from .recipe.spec import BuildSpec

        uses_torch, target = self.uses_torch(), self._torch_target()
        settings = binding_settings(self.BINDING, self.NAME, toolchain, uses_torch, target)
        roots = {"source": self.source_root(), **settings.roots}
        include_dirs = []
        for index, path in enumerate(self.include_paths()):
            if Path(path).is_absolute():
                roots[f"include_{index}"] = Path(path)
                include_dirs.append(f"include_{index}")
            else:
                include_dirs.append(str(PurePosixPath("source", path)))  # "." would show in reports
        return BuildSpec(
            name=self.NAME,
            binding=self.BINDING,
            namespace=self.NAMESPACE or self.NAME,
            sources=self._sources() if target is None else target.sources,
            include_dirs=(*include_dirs, *settings.include_dirs),
            cxx_flags=(*settings.cxx_flags, *self.cxx_args()),
            ld_flags=(*settings.ld_flags, *self.extra_ldflags()),
            roots=roots,
            bound_to=settings.bound_to,
        )

    def _sources(self) -> tuple[Source, ...]:
        from .recipe.precompiled import with_precompiled
        from .recipe.spec import Source

        flags = self.source_flags()
        sources = tuple(Source(path, tuple(flags.get(path, ()))) for path in self.sources())
        if self.BINDING == "torch_extension" or (self.BINDING == "python" and self.uses_torch()):
            sources = with_precompiled(self.source_root(), sources, self.cxx_args())
        if self.SOURCES_PER_UNIT == 1:
            return sources
        from .recipe.units import in_units

        return in_units(sources, self.SOURCES_PER_UNIT)

    def _torch_target(self) -> TorchTarget | None:
        """Return the target of a stable-ABI op; None for other ops, and without ``sources()``."""
        if self.BINDING != "stable" or type(self).sources is OpBuilder.sources:
            return None
        from .recipe.torch_target import torch_target

        return torch_target(self.source_root(), self._sources(), self.cxx_args())

    def plan(
        self, environ: Mapping[str, str] | None = None, toolchain: Toolchain | None = None
    ) -> Plan:
        """Return everything that is needed to find or build the library.

        Args:
            environ: The environment that decides; this process's by default.
            toolchain: The result of :meth:`toolchain` for ``environ``, to share it among ops.

        Raises:
            IncompatibleOpError: The op cannot be built on this machine.
        """
        from .cache import key
        from .cache.layers import layers
        from .jit.plan import Plan

        toolchain = toolchain or self.toolchain(environ)
        reasons = self.compatibility(toolchain)
        if reasons:
            raise IncompatibleOpError(self.NAME, reasons)
        spec = self.spec(toolchain)
        return Plan(
            spec=spec,
            toolchain=toolchain,
            recipe=key.recipe(spec, toolchain),
            layers=tuple(layers(toolchain.environ, self.prebuilt_dir())),
            build_var=self.BUILD_VAR,
            package=self.package(),
        )

    def build(self, on_progress: ProgressListener | None = None, *, again: bool = False) -> Entry:
        """Build the op into the cache, without loading it and without what it requires.

        Args:
            on_progress: Called after each step of the build.
            again: Rebuild even if a cached build exists.

        Returns:
            The entry in the cache, whether it was built now or before.

        Raises:
            IncompatibleOpError: The op cannot be built on this machine.
            CompilerNotFoundError: There is no compiler.
            BuildError: Compiling or linking failed.
            CacheError: No cache folder can be written, or one is unsafe.
        """
        from .jit.publish import build

        self._refuse_other_machine()
        return build(self.plan(), on_progress, again=again)


def with_required(ops: Iterable[type[OpBuilder]]) -> list[type[OpBuilder]]:
    """Return ``ops`` and what they require, without duplicates, each after what it requires.

    Example:
        >>> from op_builder import NormBuilder, RotaryBuilder
        >>> from op_builder.builder import with_required
        >>> [builder.NAME for builder in with_required([NormBuilder, RotaryBuilder])]
        ['aclnn', 'norm', 'rotary']
    """
    ordered: dict[type[OpBuilder], None] = {}
    for cls in ops:
        ordered.update(dict.fromkeys([*with_required(cls.REQUIRES), cls]))
    return list(ordered)


def _lock_of(cls: type[OpBuilder]) -> threading.RLock:
    with _locks_guard:
        return _locks.setdefault(cls, threading.RLock())


def _level(verbose: bool) -> int:
    return logging.WARNING if verbose else logging.DEBUG
