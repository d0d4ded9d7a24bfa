"""``OpBuilder``: what an op declares, and the way from the declaration to a loaded module.

A subclass is data: a name, sources, flags. The vocabulary is DeepSpeed's, so that its users find
their way; what differs is written down in docs/builders.md.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from . import envs
from .cache import key
from .cache.entry import Entry
from .cache.layers import layers, memo_folder
from .errors import IncompatibleOpError
from .jit.load import load_op
from .jit.plan import Plan
from .recipe.bindings import binding_refusals, binding_settings
from .recipe.spec import BuildSpec, Source
from .toolchain.detect import Toolchain

if TYPE_CHECKING:
    from .jit.run_ninja import ProgressListener
    from .op_extension import OpExtension

logger = logging.getLogger(__name__)

_loaded: dict[type[OpBuilder], Any] = {}
_locks: dict[type[OpBuilder], threading.RLock] = {}
_locks_guard = threading.Lock()


def _forget_locks() -> None:
    """A lock that another thread held at a fork would stay locked in the child for ever."""
    global _locks_guard
    _locks.clear()
    _locks_guard = threading.Lock()


os.register_at_fork(after_in_child=_forget_locks)


class OpBuilder:
    """Declares one op. Subclass :class:`CPUOpBuilder` or :class:`NPUOpBuilder`, not this.

    Class attributes: ``NAME`` (also the library's file name), ``BUILD_VAR`` (the variable that
    builds it ahead of time), ``BINDING`` (one of ``recipe.spec.BINDINGS``; it decides
    what :meth:`load` returns), ``NAMESPACE`` (the torch namespace that the sources register their
    functions in; default ``NAME``), ``ONLY_BY_NAME`` (True keeps it out of what is asked for as
    a whole: ``DS_BUILD_OPS``, ``ascend-ops build --all``) and ``REQUIRES`` (the builders of
    libraries that have to be loaded before this one; they are built wherever this one is).
    """

    NAME: ClassVar[str]
    BUILD_VAR: ClassVar[str]
    BINDING: ClassVar[str] = "stable"
    NAMESPACE: ClassVar[str] = ""
    ONLY_BY_NAME: ClassVar[bool] = False
    REQUIRES: ClassVar[tuple[type[OpBuilder], ...]] = ()

    # What an op declares.

    def absolute_name(self) -> str:
        """The dotted name of the op, unique over all packages."""
        return f"{type(self).__module__}.{self.NAME}"

    def sources(self) -> list[str]:
        """C++ files, relative to :meth:`source_root`."""
        raise NotImplementedError(f"{type(self).__name__} declares no sources()")

    def source_flags(self) -> Mapping[str, list[str]]:
        """Flags for single files, by their name in :meth:`sources`."""
        return {}

    def include_paths(self) -> Sequence[str | Path]:
        """Folders for ``-I``, relative to :meth:`source_root` or absolute."""
        return []

    def cxx_args(self) -> list[str]:
        """Flags for every compile, after the default ones."""
        return []

    def extra_ldflags(self) -> list[str]:
        """Flags for the link, after the objects."""
        return []

    def compatibility(self, toolchain: Toolchain) -> list[str]:
        """Every reason why the op cannot work here; empty where it can."""
        return binding_refusals(self.BINDING, toolchain, self.uses_torch())

    def uses_torch(self) -> bool:
        """Whether a ``python`` or ``ctypes`` op includes torch's headers."""
        return False

    def source_root(self) -> Path:
        """The folder that :meth:`sources` are in: that of the file that declares the op."""
        return Path(str(sys.modules[type(self).__module__].__file__)).resolve().parent

    def prebuilt_dir(self) -> Path:
        """Where an ahead-of-time build of this op is: beside the file that declares it."""
        return self.source_root() / "prebuilt"

    def package(self) -> str:
        """The name of what is installed to have the op: that of its outermost package."""
        return type(self).__module__.partition(".")[0]

    # What every op can do.

    def is_compatible(self, verbose: bool = False) -> bool:
        """Whether the op can be built and used here; ``verbose`` logs every reason why not."""
        reasons = self.compatibility(self.toolchain())
        if verbose:
            for reason in reasons:
                logger.warning("%s: %s", self.NAME, reason)
        return not reasons

    def load(self, verbose: bool = False, on_progress: ProgressListener | None = None) -> Any:
        """The op's module, built first where no cache has it. Returns the same object each time.

        A module for the bindings ``stable``, ``torch`` and ``python``; a ``ctypes.CDLL`` for
        ``ctypes``. Raises IncompatibleOpError, JitDisabledError, CompilerNotFoundError, BuildError,
        CacheError or LoadError.
        """
        cls = type(self)
        module = _loaded.get(cls)
        if module is not None:
            return module
        with _lock_of(cls):
            if cls not in _loaded:
                for required in self.REQUIRES:
                    required().load(verbose, on_progress)
                _loaded[cls], entry = load_op(self.plan(), on_progress)
                logger.log(_level(verbose), "%s loaded from %s", self.NAME, entry.library)
        return _loaded[cls]

    def jit_load(self, verbose: bool = False) -> Any:
        """Compile now, whatever the caches have, and load the outcome."""
        plan = self.plan()
        from .jit.publish import build

        built = build(plan, again=True)
        logger.log(_level(verbose), "%s built: %s", self.NAME, built.library)
        return self.load(verbose)

    def builder(self) -> OpExtension:
        """A setuptools extension that builds the op ahead of time; see setuptools_command."""
        from .op_extension import OpExtension

        return OpExtension(self)

    # The steps of load(), each usable alone.

    def toolchain(self, environ: Mapping[str, str] | None = None) -> Toolchain:
        """What this process would build with."""
        environ = envs.process_environment() if environ is None else environ
        return Toolchain.detect(environ, memo_folder(environ))

    def spec(self, toolchain: Toolchain) -> BuildSpec:
        """The declaration and the binding's settings as one value."""
        settings = binding_settings(self.BINDING, self.NAME, toolchain, self.uses_torch())
        roots = {"source": self.source_root(), **settings.roots}
        include_dirs = []
        for index, path in enumerate(self.include_paths()):
            if Path(path).is_absolute():
                roots[f"include_{index}"] = Path(path)
                include_dirs.append(f"include_{index}")
            else:
                include_dirs.append(f"source/{path}")
        flags = self.source_flags()
        return BuildSpec(
            name=self.NAME,
            binding=self.BINDING,
            namespace=self.NAMESPACE or self.NAME,
            sources=tuple(Source(path, tuple(flags.get(path, ()))) for path in self.sources()),
            include_dirs=(*include_dirs, *settings.include_dirs),
            cxx_flags=(*settings.cxx_flags, *self.cxx_args()),
            ld_flags=(*settings.ld_flags, *self.extra_ldflags()),
            roots=roots,
            bound_to=settings.bound_to,
        )

    def plan(
        self, environ: Mapping[str, str] | None = None, toolchain: Toolchain | None = None
    ) -> Plan:
        """Everything that is known before looking for the library; raises IncompatibleOpError.

        ``toolchain`` is what :meth:`toolchain` gave another op for the same ``environ``.
        """
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
        """Compile the op into the cache without loading it; not what it requires."""
        from .jit.publish import build

        return build(self.plan(), on_progress, again=again)


def with_required(ops: Iterable[type[OpBuilder]]) -> list[type[OpBuilder]]:
    """``ops``, each after what it requires, each once."""
    ordered: dict[type[OpBuilder], None] = {}
    for cls in ops:
        ordered.update(dict.fromkeys([*with_required(cls.REQUIRES), cls]))
    return list(ordered)


def _lock_of(cls: type[OpBuilder]) -> threading.RLock:
    with _locks_guard:
        return _locks.setdefault(cls, threading.RLock())


def _level(verbose: bool) -> int:
    return logging.WARNING if verbose else logging.DEBUG
