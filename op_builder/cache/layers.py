"""The folders that hold built libraries, in search order, and which of them may be written to."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from .. import envs
from ..errors import UnsafeCacheError
from ..lazy_dataclass import dataclass
from ..system.trust import unsafe

#: The folder of emulated CANNs in the user's cache; they are not entries, but are pruned likewise.
EMULATED_CANNS = "emulated"
#: The folders of memos: compilers that were tried, and cache hits.
TOOLCHAIN_MEMOS, HIT_MEMOS = "toolchain", "hits"


@dataclass(frozen=True)
class Layer:
    """One folder of entries.

    Attributes:
        name: ``prebuilt``, ``site``, ``user`` or ``temporary``.
        root: The folder.
        shipped: Whether its entries were built elsewhere. In a shipped layer an entry is found by
            its recipe; in the others the whole key must match.
    """

    name: str
    root: Path
    shipped: bool

    @property
    def mode(self) -> int:
        """The mode of its folders: shipped ones are readable by everybody, others are private."""
        return 0o755 if self.shipped else 0o700

    @property
    def variable(self) -> str:
        """The name of the environment variable that sets the folder."""
        return (envs.SITE_CACHE_DIR if self.name == "site" else envs.CACHE_DIR).name

    def danger(self) -> str | None:
        """Return why nothing may be loaded from this layer; None if it is safe or does not exist.

        A prebuilt layer is as trustworthy as the package that contains it. If a umask of 002 made
        both writable for a group, refusing one and running the other would not help.
        """
        if self.name == "prebuilt":
            return None
        try:
            return unsafe(self.root, self.variable)
        except OSError:
            return None

    def noexec(self) -> str | None:
        """Return that libraries here cannot be loaded, because of the file system; else None."""
        try:
            flags = os.statvfs(self.root).f_flag
        except OSError:
            return None
        if not flags & os.ST_NOEXEC:
            return None
        return (
            f"{self.root} is on a file system that is mounted noexec, so no library can be loaded "
            f"from it; set {self.variable} to a folder on another file system"
        )

    def prepare(self) -> None:
        """Create the root and its tag.

        Raises:
            UnsafeCacheError: Other users could write to the root.
            OSError: The root cannot be created or is read-only.
        """
        from ..system.private_folder import make_cache_root, tag_cache_root  # not for a hit

        if self.name == "prebuilt":
            self.root.mkdir(parents=True, exist_ok=True)
            tag_cache_root(self.root, self.mode)
        else:
            make_cache_root(self.root, self.mode, self.variable)
        if not os.access(self.root, os.W_OK):
            raise PermissionError(errno.EACCES, "cannot be written", str(self.root))


def user_root(environ: Mapping[str, str]) -> Path:
    """Return the user's cache: ASCEND_OPS_CACHE_DIR, or a folder in XDG_CACHE_HOME or ~/.cache."""
    chosen = envs.CACHE_DIR.get(environ)
    if chosen is not None:
        return chosen
    base = envs.XDG_CACHE_HOME.get(environ)
    if base is None:
        home = envs.HOME.get(environ)
        base = (home or Path("/nonexistent")) / ".cache"
    return base / "ascend_ops"


def temporary_root(environ: Mapping[str, str]) -> Path:
    """Return the private folder that replaces a user's cache in a read-only home.

    It does not come from ``tempfile``, which tries out a folder by writing a file to it. A cache
    hit writes nothing, so it works even if nothing can be written.
    """
    return envs.TMPDIR.get(environ) / f"ascend_ops-{os.getuid()}-cache"


def layers(environ: Mapping[str, str], prebuilt: Path | None) -> list[Layer]:
    """Return all layers in search order: prebuilt, site, user, temporary.

    Args:
        environ: The environment that names the site's and the user's cache.
        prebuilt: The folder of ahead-of-time builds, if there is one.

    Example:
        >>> from op_builder.cache.layers import layers
        >>> [layer.name for layer in layers({"HOME": "/home/me"}, None)]
        ['user', 'temporary']
    """
    found = [] if prebuilt is None else [Layer("prebuilt", prebuilt, shipped=True)]
    site = envs.SITE_CACHE_DIR.get(environ)
    if site is not None:
        found.append(Layer("site", site, shipped=True))
    found.append(Layer("user", user_root(environ), shipped=False))
    found.append(Layer("temporary", temporary_root(environ), shipped=False))
    return found


def first_writable(layers: Iterable[Layer]) -> Layer | None:
    """Return the layer in which a build would be published, after creating it; None if none can.

    Raises:
        UnsafeCacheError: The user's own cache is unsafe, which its owner needs to know.
    """
    for layer in layers:
        try:
            if not layer.shipped:
                layer.prepare()
                if layer.noexec() is None:
                    return layer
        except UnsafeCacheError:
            if layer.name == "user":
                raise
        except OSError:
            continue
    return None


def memo_folder(environ: Mapping[str, str], kind: str = TOOLCHAIN_MEMOS) -> Path:
    """Return the folder of memos of a kind, in the user's or in the temporary cache.

    Thanks to the memos, a cache hit starts no process.
    """
    root = user_root(environ)
    return (root if can_be_written(root) else temporary_root(environ)) / kind


def can_be_written(folder: Path) -> bool:
    """Return whether ``folder`` can be written to, or can be created."""
    for place in (folder, *folder.parents):
        if os.path.exists(place):  # noqa: PTH110 - Path.exists may raise PermissionError
            return os.access(place, os.W_OK)
    return False
