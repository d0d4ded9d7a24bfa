"""Whether other users could replace a file whose code runs with this user's rights.

The rule is that of sshd's StrictModes: every folder from the file up to ``/`` must belong to this
user or to root, and nobody else may write to it. A folder with the sticky bit, such as /tmp, is
accepted above a cache, since others cannot rename what is in it. Once all folders above a file
pass, no other user can exchange it between the check and its use (docs/security.md).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .regular_file import open_regular

_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_LINKS = 40  # the limit of Linux for one path
_RIGHTS = "libraries from there would run with your rights"


def unsafe(folder: Path, variable: str = "ASCEND_OPS_CACHE_DIR") -> str | None:
    """Return why libraries in ``folder`` must not be trusted, or None if they can be.

    Args:
        folder: The root of a cache, or another folder that only its owner may write to.
        variable: The environment variable that sets it, for the advice.

    Raises:
        OSError: The folder does not exist or cannot be reached. The folders above it are checked
            first, so no other user can create it afterwards.
    """
    for place, status, above in _components(os.path.abspath(folder)):  # noqa: PTH100
        danger = _unsafe_above(status) if above else None
        if danger:
            return (
                f"{place} {danger}, who can replace {folder}: {_RIGHTS}. Set {variable} to a "
                f"folder elsewhere, or run {_repair(place, status)}."
            )
    if not stat.S_ISDIR(status.st_mode):
        return (
            f"{variable} must be a folder, got {str(folder)!r}, which is "
            f"{_kind(status.st_mode)}; set it to a folder that only you can write to"
        )
    owner = _foreign_owner(status)
    if owner is not None:
        return (
            f"{folder} belongs to user {owner}, but this process runs as user {os.geteuid()}: "
            f"{_RIGHTS}. Set {variable} to another folder, or `chown` this one."
        )
    return _open_to_others(folder, status, variable)


def _open_to_others(folder: Path, status: os.stat_result, variable: str) -> str | None:
    """Return the danger of a cache's root that other users can write to."""
    if not _writable_by_others(status):
        return None
    mode = stat.S_IMODE(status.st_mode)
    danger = f"{folder} is writable by other users (mode {mode:o}): {_RIGHTS}. "
    own = f"set {variable} to a subfolder, for example {folder}/ascend_ops-{os.getuid()}"
    if status.st_mode & stat.S_ISVTX:  # a shared folder such as /tmp, which must stay open
        return f"{danger}{own[0].upper()}{own[1:]}."
    if not status.st_mode & stat.S_IWOTH:
        return f"{danger}Run `chmod go-w {folder}`, or set {variable} to another folder."
    return (
        f"{danger}Run `chmod go-w {folder}`; or, if it is a shared volume, run `chmod +t {folder}` "
        f"and {own}."
    )


def unsafe_below(root: Path, folder: Path) -> str | None:
    """Return why a folder inside a safe cache must not be trusted, or None if it can be.

    Checks ``folder`` and every folder between it and ``root``; links are refused.

    Raises:
        OSError: One of the folders does not exist or cannot be reached.
    """
    place = str(root)
    for part in folder.relative_to(root).parts:
        place = f"{place}/{part}"
        status = os.lstat(place)
        if not stat.S_ISDIR(status.st_mode):
            return f"{place} must be a folder, got {_kind(status.st_mode)}"
        danger = danger_of(status)
        if danger:
            return f"{place} {danger}"
    return None


def danger_of(status: os.stat_result) -> str | None:
    """Return how somebody else could change a file or a folder in a cache, or None."""
    owner = _foreign_owner(status)
    if owner is not None:
        return f"belongs to user {owner}, but this process runs as user {os.geteuid()}"
    if _writable_by_others(status):
        return f"is writable by other users (mode {stat.S_IMODE(status.st_mode):o})"
    return None


def open_trusted(path: str | Path, limit: int) -> int:
    """Return a descriptor of a regular file that nobody else can change; links are refused.

    Args:
        path: A file in a folder that has been checked.
        limit: The largest size in bytes that is accepted.

    Raises:
        OSError: The file cannot be opened, is not a regular file, is too large, or belongs to or
            can be changed by somebody else.
    """
    descriptor = open_regular(path, limit, follow=False)
    danger = danger_of(os.fstat(descriptor))
    if danger:
        os.close(descriptor)
        raise OSError(errno.EPERM, danger, str(path))
    return descriptor


def _components(path: str) -> Iterator[tuple[str, os.stat_result, bool]]:
    """Yield each component of an absolute path from ``/`` on, and whether the path goes on below.

    Links are followed: a link is yielded, then the components of its target. A component is looked
    up only after the caller has seen the one above it.
    """
    place, links = "/", 0
    pending = _parts(path)
    yield place, os.stat(place), bool(pending)  # noqa: PTH116 - runs on every cache hit
    while pending:
        part = pending.pop()
        if part == "..":
            place = os.path.dirname(place)  # noqa: PTH120 - `place` has no links
            continue
        below = f"{place}{'' if place == '/' else '/'}{part}"
        status = os.lstat(below)
        is_link = stat.S_ISLNK(status.st_mode)
        yield below, status, is_link or bool(pending)
        if not is_link:
            place = below
            continue
        links += 1
        if links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(below)  # noqa: PTH115
        place = "/" if target.startswith("/") else place
        pending += _parts(target)


def _parts(path: str) -> list[str]:
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _unsafe_above(status: os.stat_result) -> str | None:
    """Return how other users can exchange what is in a folder, or who made a link; or None."""
    if status.st_uid == 0 and not status.st_mode & _OTHERS:  # most folders: keep a hit fast
        return None
    owner = _foreign_owner(status)
    if owner is not None:
        return f"belongs to user {owner}"
    if stat.S_ISLNK(status.st_mode) or status.st_mode & stat.S_ISVTX:
        return None  # the mode of a link means nothing
    if not _writable_by_others(status) or _is_own_group(status):
        return None
    return f"is writable by other users (mode {stat.S_IMODE(status.st_mode):o})"


def _repair(place: str, status: os.stat_result) -> str:
    if _foreign_owner(status) is not None:
        return f"`chown` on {place}"
    return f"`chmod go-w {place}`" + (
        f" or `chmod +t {place}`" if status.st_mode & stat.S_IWOTH else ""
    )


def _foreign_owner(status: os.stat_result) -> int | None:
    """Return the owner if it is neither this user nor root.

    The owner of ``/`` counts as root: in a user namespace that maps only this user, files of the
    system appear to belong to ``nobody``.
    """
    owner = status.st_uid
    if owner in (0, os.geteuid()) or owner == _owner_of_root() or _of_image(status):
        return None
    return owner


def _writable_by_others(status: os.stat_result) -> bool:
    return bool(status.st_mode & (stat.S_IWOTH if _of_image(status) else _OTHERS))


def _of_image(status: os.stat_result) -> bool:
    """Return whether a container's image made this writable for its arbitrary user.

    OpenShift runs containers as a random user in the group root. Images prepare their folders for
    it with ``chgrp 0`` and ``chmod g=u``, and their owner is the user who built the image.
    """
    return (
        status.st_gid == 0
        and bool(status.st_mode & stat.S_IWGRP)
        and os.getegid() == 0
        and os.geteuid() != 0
    )


@cache
def _owner_of_root() -> int:
    return os.stat("/").st_uid  # noqa: PTH116


def _is_own_group(status: os.stat_result) -> bool:
    """Return whether only this user's private group can write to a folder, as with umask 002."""
    return not status.st_mode & stat.S_IWOTH and _is_private_group(status.st_gid, os.geteuid())


@cache
def _is_private_group(gid: int, uid: int) -> bool:
    """Return whether a group is the primary group of one user, has its name and no other member."""
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(uid), grp.getgrgid(gid)
    except KeyError:
        return False
    same = user.pw_gid == gid and group.gr_name == user.pw_name
    return uid != 0 and same and set(group.gr_mem) <= {user.pw_name}


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISREG, "a regular file"),
        (stat.S_ISLNK, "a link"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    return next((name for test, name in kinds if test(mode)), "a device")
