"""Facts about the text of a source, which is read again only if its status has changed.

A load looks up each fact twice: for the reasons against an op, and for its spec.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..system import file_identity

_known: dict[tuple[str, Callable[[bytes], Any]], tuple[file_identity.Status, Any]] = {}


def fact(path: str, find: Callable[[bytes], Any]) -> Any:
    """Return ``find(content)``; None if the file cannot be read, which its hash will report.

    Args:
        path: The file.
        find: A function of a module, which depends on nothing else.
    """
    key = (path, find)
    try:
        status = file_identity.status(path)
        known = _known.get(key)
        if known is not None and known[0] == status:
            return known[1]
        with open(path, "rb") as file:  # noqa: PTH123 - Path takes as long as the reading
            found = find(file.read())
    except OSError:
        return None
    if file_identity.is_settled(file_identity.newest_time(status)):
        _known[key] = (status, found)
    return found
