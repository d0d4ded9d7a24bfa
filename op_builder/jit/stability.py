"""Whether the files that a build read stayed the same while it read them.

A digest is taken before or after the compiler reads a file, so it may be that of another content:
an editor saved in between, a folder was renamed, a link was switched to another version. Contents
that return (A, B, A) leave equal digests. So each component of a path is compared by its status.
Programs cannot set change times, and the build's beginning is taken from the clock that stamps
them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..system.file_clock import Clocks

_MOST_LINKS = 40

Component = tuple[str, bool, int, int, int, int, int]


@dataclass
class Components:
    """The status of each component of paths, read once for each."""

    _seen: dict[str, os.stat_result | None] = field(default_factory=dict)

    def of(self, path: str) -> list[Component] | None:
        """Return the status of all components, following links; None if one does not exist.

        A folder is identified by its device and inode, since its times change with its content.
        """
        found: list[Component] = []
        waiting = list(reversed(os.path.abspath(path).split("/")[1:]))  # noqa: PTH100
        here, links = "", 0
        while waiting:
            name = waiting.pop()
            if name in ("", "."):
                continue
            if name == "..":
                here = os.path.dirname(here)  # noqa: PTH120
                continue
            place = f"{here}/{name}"
            info = self._lstat(place)
            if info is None:
                return None
            if stat.S_ISLNK(info.st_mode):
                links += 1
                if links > _MOST_LINKS:
                    return None
                target = os.readlink(place)  # noqa: PTH115 - places are strings
                waiting += reversed(target.split("/"))
                here = "" if target.startswith(os.sep) else here
            else:
                here = place
            found.append(_component(place, info))
        return found

    def _lstat(self, place: str) -> os.stat_result | None:
        if place not in self._seen:
            try:
                self._seen[place] = os.lstat(place)
            except OSError:
                self._seen[place] = None
        return self._seen[place]

    def folder(self, place: str) -> tuple[int, int] | None:
        """Return device and inode of a folder that was a component of a path."""
        info = self._seen.get(place)
        return None if info is None else (info.st_dev, info.st_ino)


def _component(place: str, info: os.stat_result) -> Component:
    is_folder = stat.S_ISDIR(info.st_mode)
    size = 0 if is_folder else info.st_size
    return (
        place, is_folder, info.st_dev, info.st_ino, size, info.st_mtime_ns, info.st_ctime_ns
    )  # fmt: skip


class Watch:
    """The state of files before a build, to be compared with that after it.

    Args:
        paths: The files and folders that are known before the build.
        clocks: The file systems' clocks, read after which any change is during the build.
    """

    def __init__(self, paths: Iterable[str], clocks: Iterable[str]) -> None:
        self._before = Components()
        self._known: dict[str, object] = {path: _identity(self._before.of(path)) for path in paths}
        self._clocks = Clocks(clocks)

    def changed(self, paths: Iterable[str]) -> list[str]:
        """Return those of ``paths`` that may have been something else during the build."""
        now = Components()
        return [path for path in paths if self._may_differ(path, now.of(path))]

    def _may_differ(self, path: str, components: list[Component] | None) -> bool:
        if components is None:
            return self._known.get(path, True) is not None
        if path in self._known and self._known[path] != _identity(components):
            return True
        return any(self._moved(component) for component in components)

    def _moved(self, component: Component) -> bool:
        place, is_folder, device, inode, _, modified, changed = component
        if changed < self._clocks.at(device):
            return False
        if not is_folder:
            return True
        # A new entry sets both times of a folder alike; a new name sets only its change time.
        return changed != modified or self._before.folder(place) != (device, inode)


def _identity(components: list[Component] | None) -> object:
    if components is None:
        return None
    return [
        (place, device, inode) if is_folder else (place, device, inode, size, modified, changed)
        for place, is_folder, device, inode, size, modified, changed in components
    ]
