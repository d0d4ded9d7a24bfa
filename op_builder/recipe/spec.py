"""What one op's build consists of: a frozen value, made by its builder, read by everything else.

All paths that a compiler sees are relative to *roots*: named folders (``source``, ``torch``,
``cann`` ...) that a build links into its own working folder. So the build text says
``-Itorch/include`` on every machine: it can be keyed as it stands, an entry can move to another
machine or another virtual environment, and a path with spaces, quotes or newlines never reaches a
command line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..toolchain.compiler import asks_for_native

#: How the library is bound, hence how it is loaded and what it depends on.
#:   stable   torch's stable ABI: any torch from TORCH_TARGET on, any Python
#:   torch    TORCH_LIBRARY: one torch version, any Python
#:   python   PYBIND11_MODULE or PyInit_<name>: one Python version, and one torch if it includes it
#:   ctypes   plain C functions: anything
BINDINGS = ("stable", "torch", "python", "ctypes")

#: The oldest torch whose stable ABI the ops of this project use: the first with parallel_for and
#: list arguments. 0x020A... is how torch spells 2.10 there.
TORCH_TARGET = (2, 10)


def torch_target_macro() -> str:
    """The definition that limits torch's stable headers to TORCH_TARGET's functions."""
    major, minor = TORCH_TARGET
    return f"-DTORCH_TARGET_VERSION=0x{major:02X}{minor:02X}000000000000"


@dataclass(frozen=True)
class Source:
    """One C++ file, relative to the root ``source``, and the flags that only it gets."""

    path: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuildSpec:
    """Everything that decides an op's library, but for the toolchain.

    ``include_dirs`` are relative to the working folder, hence begin with the name of a root, and so
    does a ``-L`` among the ``ld_flags``. ``bound_to`` are the versions that the library works with,
    by their name in a report: an ahead-of-time library is refused where one of them differs. Adding
    a field here means adding it to :func:`op_builder.recipe.ninja.render` or
    :func:`op_builder.cache.key.recipe`.
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
        if self.binding not in BINDINGS:
            raise ValueError(f"{self.name}: binding {self.binding!r} is none of {BINDINGS}")
        if not re.fullmatch(r"\w+", self.name):
            raise ValueError(f"op name {self.name!r}: expected letters, digits and _")
        for source in self.sources:
            path = PurePosixPath(source.path)
            if not path.parts or path.is_absolute() or ".." in path.parts or "\n" in source.path:
                raise ValueError(f"{self.name}: source {source.path!r} is not below source_root()")

    @property
    def uses_native(self) -> bool:
        """Whether the output depends on the CPU that compiles."""
        flags = [*self.cxx_flags, *(flag for source in self.sources for flag in source.flags)]
        return asks_for_native(flags)

    def resolve(self, path: str) -> str:
        """The real path of one that a compiler saw in the working folder."""
        first, _, rest = path.partition("/")
        root = self.roots.get(first)
        return path if root is None else f"{root}/{rest}"
