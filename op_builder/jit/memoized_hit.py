"""A cache hit that an earlier process has memoized: which library an op's declaration leads to.

To derive a plan from a declaration, a key from the plan and an entry from the key takes 5 ms and
imports 25 modules. So the entry is memoized with the status of every file on which all of that
depends: sources, headers, link inputs, the folders that were searched, the compiler's programs.
Whatever else it depends on is part of the memo's key. If anything is in doubt, the entry is
searched for. Layers and owners are checked as in any search. So is the library's digest, unless the
file that was opened has the status with which it was verified.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import envs
from ..cache.layers import HIT_MEMOS, Layer, layers, memo_folder
from ..cache.open_library import OpenLibrary, open_verified, record_use
from ..errors import AscendOpsError
from ..lazy_dataclass import dataclass
from ..system import file_identity, memo
from ..system.trust import unsafe_below
from .library import load_library

# A compiler's choice and its memo depend on these.
_VARIABLES = (*envs.COMPILER_INPUTS, envs.SEARCH_PATH.name, envs.LD_LIBRARY_PATH.name)


@dataclass(frozen=True)
class Hit:
    """An entry, and how its library is loaded.

    Attributes:
        name: The op's name.
        binding: The op's binding.
        namespace: The torch namespace of the op's functions.
        bound_to: The components that the library is bound to.
        layer: The name of the layer.
        entry: The entry's folder, relative to the root of the layer.
        payload: The file name of the library.
        digest: The digest of the library.
        size: The size of the library.
        status: The status of the library when it had that digest.
        functions: The names of its functions that torch dispatches.
    """

    name: str
    binding: str
    namespace: str
    bound_to: tuple[str, ...]
    layer: str
    entry: str
    payload: str
    digest: str
    size: int
    status: file_identity.Status
    functions: tuple[str, ...]


# What JSON makes of a hit.
_KINDS = {
    **dict.fromkeys(Hit.__annotations__, str),
    **dict.fromkeys(("bound_to", "status", "functions"), list),
    "size": int,
}


@dataclass(frozen=True)
class HitMemo:
    """Where the hit of one op is memoized.

    Attributes:
        folder: The folder of the memo.
        key: Everything besides files on which the hit depends.
    """

    folder: Path
    key: Sequence[object]

    def recall(self) -> Hit | None:
        """Return the hit; None if it is unknown, outdated, or odd."""
        fact = memo.recall(self.folder, self.key)
        if not isinstance(fact, dict) or {name: type(fact[name]) for name in fact} != _KINDS:
            return None
        lists = {name: tuple(fact[name]) for name in ("bound_to", "status", "functions")}
        return Hit(**{**fact, **lists})


def hit_memo(declaration: object, needs_torch: bool, environ: Mapping[str, str]) -> HitMemo | None:
    """Return where the hit of an op is memoized; None if torch is needed and not imported.

    Args:
        declaration: Everything that the op declares, which JSON must be able to represent.
        needs_torch: Whether the library depends on torch.
        environ: The environment of this process.

    Raises:
        EnvironmentVariableError: A variable cannot be parsed.
    """
    torch = getattr(sys.modules.get("torch"), "__file__", None) if needs_torch else None
    if needs_torch and torch is None:
        return None
    named = (envs.CXX.name, envs.COMPILER_ENV.name, *envs.COMPILER_ENV.get(environ))
    named += _mentioned_by_compiler(environ)
    key = [
        *os.uname(),  # machines that share a cache have different files
        [sys.version, sys.prefix, sys.base_prefix, importlib.machinery.EXTENSION_SUFFIXES[0]],
        torch,
        declaration,
        {name: environ[name] for name in (*_VARIABLES, *named) if name in environ},
    ]
    return HitMemo(memo_folder(environ, HIT_MEMOS), key)


def _mentioned_by_compiler(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables that the script mentions whose path is CXX."""
    program = envs.CXX.get(environ)
    if not program.startswith(os.sep):
        return ()
    from ..toolchain.environment import script_words

    try:
        return tuple(name for name in script_words(program) if name in environ)
    except OSError:  # a command with arguments, or no file: the search for the entry reports it
        return ()


def load_memoized(
    found: HitMemo, prebuilt: Path, environ: Mapping[str, str]
) -> tuple[Any, Path] | None:
    """Load the library of a memoized hit; None if the hit is unknown or in doubt.

    Args:
        found: The op's memo.
        prebuilt: The folder of the op's ahead-of-time builds.
        environ: The environment of this process.

    Returns:
        The op's module, and the path of its library.
    """
    hit = found.recall()
    if hit is None:
        return None
    try:
        library = _open(hit, layers(environ, prebuilt))
        if library is None:
            return None
        with library:
            return load_library(hit, library, hit.functions), library.path
    except (AscendOpsError, OSError, ValueError):  # the search for the entry reports it
        return None


def _open(hit: Hit, candidates: Sequence[Layer]) -> OpenLibrary | None:
    """Open the library in its layer, unless an earlier layer has builds of the op."""
    target_and_op = "/".join(hit.entry.split("/")[:2])
    for layer in candidates:
        if layer.name == hit.layer:
            break
        if os.path.isdir(f"{layer.root}/{target_and_op}"):  # noqa: PTH112 - on every hit
            return None
    else:
        return None
    if layer.danger() or layer.noexec():
        return None
    entry = layer.root / hit.entry
    if layer.name != "prebuilt" and unsafe_below(layer.root, entry):
        return None
    library = entry / hit.payload
    opened = open_verified(library, layer.name, hit.digest, hit.size, verified=hit.status)
    if not isinstance(opened, OpenLibrary):
        return None
    record_use(entry)
    return opened
