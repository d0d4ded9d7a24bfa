"""The precompiled ``torch/extension.h``: which sources use it, and how it is built.

The header takes 25 CPU seconds to compile. A precompiled one is an entry of the cache like an op,
with the compiler, the flags and the headers in its key, and all ops of the same flags share it. It
is included before the first line of a source, so a source can use it only if nothing before its
own ``#include <torch/extension.h>`` can change what the header means.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from ..lazy_dataclass import replace
from .source_facts import fact
from .spec import HEADER, BuildSpec, Source

#: The folder in the working folder that contains the precompiled header.
FOLDER = "precompiled"
HEADER_FILE = "ascend_ops_torch_extension.h"
_NAME = "torch_extension_h"
_MENTION = b"torch/extension.h"
_ROOTS = ("torch", "python")
# torch's headers do not read these, so ops that differ in them share a precompiled header.
_OF_ONE_OP = ("-DTORCH_EXTENSION_NAME=", "-DCURRENT_VERSION=")
_COMMENT = r"/\*.*?\*/|//[^\n]*"
_INCLUDE = r"\s*#\s*include\s*[<\"]([^>\"]+)[>\"]\s*"
# Headers of torch and of the standard library may change places.
_HARMLESS = r"(?:torch|ATen|c10|pybind11)/.+|Python\.h|[a-z_]+|[a-z]+\.h"
# Clang then records no times, which a touch would change, and keeps the content of the one header
# in the working folder, which is gone when it is used.
_LASTING = ("-Xclang", "-fno-pch-timestamp", "-Xclang", "-fmodules-embed-all-files")
# Templates are then instantiated once, in the header: an op compiles in 9 CPU seconds, not in 26.
_INSTANTIATED, _INSTANTIATED_SINCE = "-fpch-instantiate-templates", 11
_EARLIER_INCLUDES = ("-include", "-imacros", "-include-pch")
# The folders that the compiler searches by itself end with one of these.
_TRIPLE = r"(?:[\w.-]+-linux[\w-]*/)?"
_SYSTEM_FOLDERS = rf"^.*/include/{_TRIPLE}(?:c\+\+/v?[\d.]+/)?{_TRIPLE}"


def with_precompiled(
    root: Path, sources: Iterable[Source], cxx_args: Iterable[str]
) -> tuple[Source, ...]:
    """Return the sources, of which those that can use the precompiled header are marked.

    Args:
        root: The folder of the sources.
        sources: The sources of an op that may include ``torch/extension.h``.
        cxx_args: The op's flags for all files.
    """
    chosen = tuple(sources)
    if any(flag.startswith(_EARLIER_INCLUDES) for flag in cxx_args):
        return chosen
    return tuple(
        replace(source, precompiled=not source.flags and _can_use_header(f"{root}/{source.path}"))
        for source in chosen
    )


def _can_use_header(path: str) -> bool:
    return bool(fact(path, _begins_with_header))


def _begins_with_header(content: bytes) -> bool:
    return _MENTION in content and begins_with_header(content.decode("utf-8", "replace"))


def begins_with_header(text: str) -> bool:
    """Return whether only harmless includes come before ``#include <torch/extension.h>``.

    Example:
        >>> from op_builder.recipe.precompiled import begins_with_header
        >>> begins_with_header("#include <vector>\\n#include <torch/extension.h>\\n")
        True
        >>> begins_with_header("#define NDEBUG\\n#include <torch/extension.h>\\n")
        False
    """
    for line in re.sub(_COMMENT, " ", text, flags=re.DOTALL).splitlines():
        if not line.strip():
            continue
        included = re.fullmatch(_INCLUDE, line)
        if included is None:
            return False
        if included[1] == _MENTION.decode():
            return True
        if '"' in line or not re.fullmatch(_HARMLESS, included[1]):
            return False
    return False


def header_spec(spec: BuildSpec, family: str, version: str) -> BuildSpec:
    """Return what the precompiled header for the sources of ``spec`` consists of.

    Clang requires torch's headers at the absolute paths that they had when they were precompiled,
    so these, unlike those of the working folder, must last. They are thus part of the key.

    Args:
        spec: An op that can use the header.
        family: The family of the compiler.
        version: Its version, as ``13.2.1``.
    """
    folders = tuple(path for path in spec.include_dirs if path.partition("/")[0] in _ROOTS)
    lasting: tuple[str, ...] = ()
    if family == "clang":
        lasting = (*_LASTING, *(f"-I{spec.resolve(path)}" for path in folders))
        if int(version.partition(".")[0]) >= _INSTANTIATED_SINCE:
            lasting = (_INSTANTIATED, *lasting)
    return BuildSpec(
        name=_NAME,
        binding=HEADER,
        namespace=_NAME,
        sources=(Source(HEADER_FILE, ("-x", "c++-header")),),
        include_dirs=() if lasting else folders,
        cxx_flags=(
            *(flag for flag in spec.cxx_flags if not flag.startswith(_OF_ONE_OP)),
            *lasting,
        ),
        ld_flags=(),
        roots={"source": Path(__file__).parent, **{name: spec.roots[name] for name in _ROOTS}},
        bound_to={name: spec.bound_to[name] for name in _ROOTS},
    )


def header_flags(family: str) -> str:
    """Return the flags that make a compiler use the precompiled header in the working folder.

    If GCC cannot use it, for example because of an address that is taken, it compiles the header
    instead and warns.
    """
    path = f"{FOLDER}/{HEADER_FILE}"
    if family == "clang":
        return f"-include-pch {path}.gch"
    return f"-include {path} -Winvalid-pch -Wno-error=invalid-pch"


def by_root(spec: BuildSpec, path: str) -> str:
    """Return how a path in torch or Python is spelled in a working folder; others as they are."""
    for name in _ROOTS:
        root = str(spec.roots.get(name, ""))
        if root and path.startswith(f"{root}/"):
            return f"{name}{path[len(root) :]}"
    return path


def hidden_header(spec: BuildSpec, headers: Mapping[str, str] | Collection[str]) -> str | None:
    """Return a file in the op's include folders that the precompiled header ignores, or None.

    For example, an op may have a ``pybind11`` of its own, which it would find before torch's.

    Args:
        spec: The op.
        headers: The headers that were compiled, as the compiler spelled them.
    """
    names = {_included_as(spec, header) for header in headers}
    for folder in spec.include_dirs:
        if folder.partition("/")[0] in _ROOTS:
            continue
        place = Path(spec.resolve(folder))
        try:
            present = {child.name for child in place.iterdir()}
        except OSError:
            continue
        for name in names:
            if name.partition("/")[0] in present and (place / name).exists():
                return f"{folder}/{name}"
    return None


def _included_as(spec: BuildSpec, header: str) -> str:
    """Return the name with which a header was included, from its path."""
    for folder in sorted(spec.include_dirs, key=len, reverse=True):
        if header.startswith(f"{folder}/"):
            return header[len(folder) + 1 :]
    return re.sub(_SYSTEM_FOLDERS, "", header)
