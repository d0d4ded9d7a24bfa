"""Look-ups that failed: a file that appears later may be found instead of the one that was read.

A compiler that finds ``<vector>`` in the third folder has searched two others in vain, and so has a
linker for ``-lm``. What was read cannot show that, so an entry records the folders that were
searched, the names that were looked up in them, and which of these exist besides the files that
were read. The folders are checked by their status: their content is compared only after one of them
has gained or lost an entry.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import Any

from ..lazy_dataclass import dataclass

#: What the manifest contains for one search.
Record = Mapping[str, Any]
_PRECOMPILED = ".gch"  # GCC prefers x.h.gch to x.h

_Tree = dict[str, Any]


@dataclass(frozen=True)
class Search:
    """One search, for headers or for libraries.

    Attributes:
        folders: The folders that were searched, as the tools spelled them.
        names: The names that were looked up besides those of the files that were read.
        suffixes: What may follow a name.
    """

    folders: tuple[str, ...]
    names: tuple[str, ...]
    suffixes: tuple[str, ...] = ("", _PRECOMPILED)


def record(search: Search, read: Iterable[str], resolve: Callable[[str], str]) -> dict[str, Any]:
    """Return what a manifest contains for a search.

    Args:
        search: The folders and further names.
        read: The files that were found, as the tools spelled them.
        resolve: Returns the real path of a path in the working folder.
    """
    bare: dict[str, Any] = {
        "folders": list(search.folders),
        "names": list(search.names),
        "suffixes": list(search.suffixes),
    }
    return {**bare, "others": others(bare, list(read), resolve)}


def others(found: Record, read: list[str], resolve: Callable[[str], str]) -> list[str]:
    """Return which paths that were looked up exist, besides the files that were read.

    Folders on the way to a name end with a slash.
    """
    tree: _Tree = {}
    for name in _names(found["folders"], read, found["names"]):
        for suffix in found["suffixes"]:
            node = tree
            *outer, last = (name + suffix).split("/")
            for part in outer:
                node = node.setdefault(part, {})
            node.setdefault(last, {})
    known, existing = set(read), []
    for folder in dict.fromkeys(map(_without_slash, found["folders"])):
        for path in _existing(folder, resolve(folder), tree):
            if path not in known:
                existing.append(path)
    return sorted(set(existing))


def _without_slash(folder: str) -> str:
    return folder.rstrip("/") or "/"


def _names(folders: Iterable[str], read: Iterable[str], others: Iterable[str]) -> set[str]:
    """Return the names by which files may have been looked up.

    A file below several folders may have been found in each of them. One below none was found
    beside the file that includes it, or its folder's name is a link: its own name is looked up.
    """
    prefixes = tuple({f"{_without_slash(folder)}/" for folder in folders})
    names = set(others)
    for path in read:
        below = [path[len(prefix) :] for prefix in prefixes if path.startswith(prefix)]
        names.update(below or [PurePath(path).name])
    return names


def _existing(spelled: str, real: str, tree: _Tree) -> list[str]:
    try:
        content = set(os.listdir(real))  # noqa: PTH208 - names are sufficient
    except OSError:
        return []
    content.add("..")
    found: list[str] = []
    for name in tree.keys() & content:
        path, inner = f"{spelled}/{name}", tree[name]
        if not inner:
            found.append(path)
        elif os.path.isdir(f"{real}/{name}"):  # noqa: PTH112 - a few hundred per check
            found += [f"{path}/", *_existing(path, f"{real}/{name}", inner)]
    return found


def watched(found: Record) -> list[str]:
    """Return the folders whose status shows whether a name has appeared or disappeared."""
    inner = [path[:-1] for path in found["others"] if path.endswith("/")]
    return [*found["folders"], *inner]


def difference(found: Record, now: Iterable[str], resolve: Callable[[str], str]) -> str | None:
    """Return which file that is looked up has appeared or disappeared since, or None.

    Args:
        found: The record of the search.
        now: What :func:`others` returns now.
        resolve: Returns the real path of a path in the working folder.
    """
    then, now = set(found["others"]), set(now)
    for path in sorted(now ^ then):
        if not path.endswith("/"):
            what = "appeared" if path in now else "disappeared"
            return f"{resolve(path)}, which a build would look up, has {what}"
    return None
