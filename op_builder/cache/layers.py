"""The folders that built libraries are looked for in, best first, and which of them are written."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import envs
from ..system.private_folder import make_cache_root, tag_cache_root, unsafe

#: The folder of emulated CANNs in a user's root: no entries, but used and pruned as they are.
EMULATED_CANNS = "emulated"


@dataclass(frozen=True)
class Layer:
    """One root of entries.

    ``shipped`` layers hold what was built elsewhere: an entry there is found by its recipe. In the
    others the whole key has to match.
    """

    name: str
    root: Path
    shipped: bool

    @property
    def mode(self) -> int:
        """Of its folders: a user's are private, and everybody reads what was shipped."""
        return 0o755 if self.shipped else 0o700

    def danger(self) -> str | None:
        """Why nothing may be loaded from here; None where it is safe or not there.

        What is prebuilt is as trustworthy as the package that it is a part of: where a umask of 002
        made both writable for a group, refusing the one and running the other would gain nothing.
        """
        if self.name == "prebuilt":
            return None
        try:
            return unsafe(self.root)
        except OSError:
            return None

    def prepare(self) -> None:
        """Make the root, with its tag; raises UnsafeCacheError, or OSError if it is read-only."""
        if self.name == "prebuilt":
            self.root.mkdir(parents=True, exist_ok=True)
            tag_cache_root(self.root)
        else:
            make_cache_root(self.root, self.mode)
        if not os.access(self.root, os.W_OK):
            raise PermissionError(errno.EACCES, "cannot be written", str(self.root))


def user_root(environ: Mapping[str, str]) -> Path:
    """This user's entries: ASCEND_OPS_CACHE_DIR, else below XDG_CACHE_HOME or ~/.cache."""
    chosen = envs.CACHE_DIR.get(environ)
    if chosen is not None:
        return chosen
    base = envs.XDG_CACHE_HOME.get(environ)
    if base is None:
        home = envs.HOME.get(environ)
        base = (home or Path("/nonexistent")) / ".cache"
    return base / "ascend_ops"


def temporary_root(environ: Mapping[str, str]) -> Path:
    """The private stand-in for a user's cache that cannot be written (a read-only home).

    Not asked of ``tempfile``, which tries a folder out by writing a file into it: a hit writes
    nothing, and works where there is nowhere to write.
    """
    return envs.TMPDIR.get(environ) / f"ascend_ops-{os.getuid()}-cache"


def layers(environ: Mapping[str, str], prebuilt: Path | None) -> list[Layer]:
    """All layers in the order they are asked: prebuilt, site, user, temporary."""
    found = [] if prebuilt is None else [Layer("prebuilt", prebuilt, shipped=True)]
    site = envs.SITE_CACHE_DIR.get(environ)
    if site is not None:
        found.append(Layer("site", site, shipped=True))
    found.append(Layer("user", user_root(environ), shipped=False))
    found.append(Layer("temporary", temporary_root(environ), shipped=False))
    return found


def memo_folder(environ: Mapping[str, str]) -> Path:
    """Where facts about the compiler are remembered, which keeps a hit from starting processes.

    In the user's cache, or in its stand-in where that cannot be written.
    """
    root = user_root(environ)
    return (root if _can_be_written(root) else temporary_root(environ)) / "toolchain"


def _can_be_written(folder: Path) -> bool:
    """Whether it can, or could be made."""
    for place in (folder, *folder.parents):
        if os.path.exists(place):  # noqa: PTH110 - Path.exists raises where it may not look
            return os.access(place, os.W_OK)
    return False
