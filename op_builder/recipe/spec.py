"""What one op's build consists of: a frozen value that its builder creates.

All paths that a compiler sees are relative to *roots*: named folders such as ``source`` or
``torch``, which a build links into its working folder. So the ninja file contains
``-Itorch/include`` on every machine: its text can be part of the key, an entry can move to another
machine or virtual environment, and a path with spaces, quotes or newlines never reaches a command
line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from ..lazy_dataclass import dataclass
from ..toolchain.identity import requests_native

#: How the library is bound, which decides how it is loaded and which versions it works with.
#:   stable           torch's stable ABI: torch TORCH_TARGET or newer, any Python
#:   torch            TORCH_LIBRARY without torch/extension.h: one torch version, any Python
#:   torch_extension  TORCH_LIBRARY with torch/extension.h: one torch and one Python version
#:   python           PYBIND11_MODULE or PyInit_<name>: one Python version, and one torch version
#:                    if it includes torch's headers
#:   ctypes           plain C functions: any torch, any Python
BINDINGS = ("stable", "torch", "torch_extension", "python", "ctypes")

#: A header that is compiled for many ops, instead of an op.
HEADER = "header"

#: The oldest torch that ops on its stable ABI support, unless they set TORCH_TARGET_VERSION
#: themselves: the first with parallel_for and list arguments.
TORCH_TARGET = (2, 10)


@dataclass(frozen=True)
class Source:
    """One C++ file, relative to the root ``source``, and the flags for this file alone.

    ``precompiled`` is whether it can use the precompiled ``torch/extension.h``. Sources with the
    same ``unit`` are compiled together; one without a unit is compiled by itself.
    """

    path: str
    flags: tuple[str, ...] = ()
    precompiled: bool = False
    unit: str = ""


@dataclass(frozen=True)
class Unit:
    """What one run of the compiler compiles: a source, or a file that includes several.

    ``path`` is relative to the working folder.
    """

    path: str
    sources: tuple[Source, ...]

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags for this unit alone."""
        return self.sources[0].flags

    @property
    def precompiled(self) -> bool:
        """Whether it can use the precompiled ``torch/extension.h``."""
        return self.sources[0].precompiled

    @property
    def includes(self) -> tuple[str, ...]:
        """The files that it includes, relative to the working folder; none if it is a source."""
        return tuple(f"source/{source.path}" for source in self.sources if source.unit)


@dataclass(frozen=True)
class BuildSpec:
    """Everything that decides an op's library, except the toolchain.

    A new field must also be added to :func:`op_builder.recipe.ninja.render` or
    :func:`op_builder.cache.key.recipe`.

    Attributes:
        name: The op's name.
        binding: One of :data:`BINDINGS`.
        namespace: The torch namespace of the op's functions.
        sources: The C++ files.
        include_dirs: Folders relative to the working folder, so they begin with the name of a root.
        cxx_flags: Flags for all files.
        ld_flags: Flags for linking; folders after ``-L`` begin with the name of a root, too.
        roots: Folders by the name of their link in the working folder.
        bound_to: The versions that the library works with, by component; an ahead-of-time library
            is refused if one of them differs.

    Example:
        >>> from op_builder import CPUAdamBuilder
        >>> builder = CPUAdamBuilder()
        >>> spec = builder.spec(builder.toolchain())
        >>> spec.name, spec.binding
        ('cpu_adam', 'stable')
    """

    name: str
    binding: str
    namespace: str
    sources: tuple[Source, ...]
    include_dirs: tuple[str, ...]
    cxx_flags: tuple[str, ...]
    ld_flags: tuple[str, ...]
    roots: Mapping[str, Path] = field(hash=False)
    bound_to: Mapping[str, str] = field(hash=False)

    def __post_init__(self) -> None:
        if self.binding not in (*BINDINGS, HEADER):
            raise ValueError(
                f"binding of {self.name} must be one of {', '.join(BINDINGS)}, got {self.binding!r}"
            )
        if not self.name.replace("_", "a").isalnum():
            raise ValueError(f"op name must consist of letters, digits and _, got {self.name!r}")
        for source in self.sources:
            path = source.path
            parts = {*path.split("/")} - {"", "."}
            if not parts or path[0] == "/" or ".." in parts or "\n" in path:
                raise ValueError(
                    f"sources of {self.name} must be inside source_root(), got {source.path!r}"
                )

    @property
    def units(self) -> tuple[Unit, ...]:
        """What the compiler is run for, in the order of the sources."""
        grouped: dict[str, list[Source]] = {}
        for source in self.sources:
            path = f"{source.unit}.cpp" if source.unit else f"source/{source.path}"
            grouped.setdefault(path, []).append(source)
        return tuple(Unit(path, tuple(sources)) for path, sources in grouped.items())

    @property
    def uses_native(self) -> bool:
        """Whether the library depends on the CPU of the machine that compiles it."""
        flags = [*self.cxx_flags, *(flag for source in self.sources for flag in source.flags)]
        return requests_native(flags)

    def resolve(self, path: str) -> str:
        """Return the real path behind a path in the working folder."""
        first, _, rest = path.partition("/")
        root = self.roots.get(first)
        if root is None:
            return path
        return f"{root}/{rest}" if rest else str(root)
